import { afterEach, expect, test, vi } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const EXPERTS = 8;
const small = {
  hidden: 64,
  ffn: 64,
  heads: 2,
  kvHeads: 2,
  headDim: 32,
  layers: 2,
  experts: EXPERTS,
};
const MODEL = tinyModel({ ...small, architecture: "qwen3moe", format: "q8_0" }).buffer;
const PROMPT = { tokens: [5, 17, 99, 3] };

afterEach(() => {
  vi.restoreAllMocks();
});

/**
 * Makes devices refuse what does not fit into `bytes` beside what they have, as a full GPU does: the buffer is invalid
 * and the innermost scope that waits for out-of-memory errors catches one.
 */
function limitMemory(bytes: number, counts: (label: string) => boolean): void {
  const create = GPUDevice.prototype.createBuffer;
  const push = GPUDevice.prototype.pushErrorScope;
  const pop = GPUDevice.prototype.popErrorScope;
  const scopes: { readonly filter: GPUErrorFilter; refused: boolean }[] = [];
  let taken = 0;
  vi.spyOn(GPUDevice.prototype, "createBuffer").mockImplementation(function (
    this: GPUDevice,
    descriptor,
  ) {
    const buffer = create.call(this, descriptor);
    if (!counts(descriptor.label ?? "")) return buffer;
    taken += descriptor.size;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      taken -= descriptor.size;
      destroy();
    };
    const scope = scopes.findLast(({ filter }) => filter === "out-of-memory");
    if (taken > bytes && scope) scope.refused = true;
    return buffer;
  });
  vi.spyOn(GPUDevice.prototype, "pushErrorScope").mockImplementation(function (
    this: GPUDevice,
    filter,
  ) {
    scopes.push({ filter, refused: false });
    push.call(this, filter);
  });
  vi.spyOn(GPUDevice.prototype, "popErrorScope").mockImplementation(async function (
    this: GPUDevice,
  ) {
    const scope = scopes.pop();
    const error = await pop.call(this);
    return scope?.refused ? new GPUOutOfMemoryError("no room") : error;
  });
}

const isSlots = (label: string) => label.startsWith("experts of pool");

test("without a budget takes as many experts as the GPU has room for", async () => {
  const engine = createEngine({ gpu: navigator.gpu });
  try {
    const { expertBytes } = await engine.load(MODEL, { fill: "off" }, {});
    const all = await replyOf(engine, PROMPT, { maxTokens: 8 });
    limitMemory(2 * 5 * expertBytes, isSlots);

    const info = await engine.load(MODEL, { fill: "wait" }, {});
    const probed = await replyOf(engine, PROMPT, { maxTokens: 8 });

    // Of 8 experts three quarters do not fit into 5 slots, half do.
    expect(probed.stats.residentExperts).toBe(2 * 4);
    expect(probed.stats.gpuBudgetBytes).toBeLessThan(info.fullGpuBudgetBytes);
    expect(probed.tokens).toEqual(all.tokens);
  } finally {
    await engine.dispose();
  }
});

test("says what could not be had where not even a token's experts fit, and gives everything back", async () => {
  const engine = createEngine({ gpu: navigator.gpu });
  try {
    limitMemory(0, isSlots);

    await expect(engine.load(MODEL, {}, {})).rejects.toMatchObject({
      code: "out-of-memory",
      message: expect.stringContaining("expert slots"),
    });

    vi.restoreAllMocks();
    await loadCold(engine, MODEL);
    expect((await replyOf(engine, PROMPT, { maxTokens: 2 })).tokens).toHaveLength(2);
  } finally {
    await engine.dispose();
  }
});

test("a change of the budget that finds no room leaves the old one working", async () => {
  const engine = createEngine({ gpu: navigator.gpu });
  try {
    const { expertBytes } = await engine.load(MODEL, { fill: "off", gpuBudget: "25%" }, {});
    const before = await replyOf(engine, PROMPT, { maxTokens: 8 });
    limitMemory(2 * 3 * expertBytes, isSlots);

    await expect(engine.setBudget({ gpu: "100%" })).rejects.toMatchObject({
      code: "out-of-memory",
    });

    const after = await replyOf(engine, PROMPT, { maxTokens: 8 });
    expect(after.tokens).toEqual(before.tokens);
    expect(after.stats.gpuBudgetBytes).toBe(before.stats.gpuBudgetBytes);
    expect(after.stats.gpuBytes).toBeLessThanOrEqual(after.stats.gpuBudgetBytes);
  } finally {
    await engine.dispose();
  }
});
