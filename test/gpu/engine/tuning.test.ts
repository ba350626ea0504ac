import { afterAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { defaultChoice } from "../../../src/engine/tuning/choices.ts";
import { usableSubgroups } from "../../../src/engine/tuning/subgroup-check.ts";
import type { Engine } from "../../../src/engine/types.ts";
import { openGpu } from "../../../src/gpu/device.ts";
import { familyNames } from "../../../src/kernels/parts.ts";
import type { LoadOptions } from "../../../src/rpc/api.ts";
import type { TextFile } from "../../../src/storage/text-file.ts";
import { replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const MODEL = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 }).buffer;
const PROMPT = { tokens: [1, 2, 3, 4, 5] };

/** Time enough to find something also on a busy machine; races end by themselves long before. */
const LONG_MS = 30_000;

/** A file in memory that counts its writes, and breaks on demand. */
class MemoryFile implements TextFile {
  text: string | undefined;
  writes = 0;
  broken = false;

  async read(): Promise<string | undefined> {
    this.#expectWhole();
    return this.text;
  }

  async write(text: string): Promise<void> {
    this.#expectWhole();
    this.text = text;
    this.writes++;
  }

  async remove(): Promise<void> {
    this.#expectWhole();
    this.text = undefined;
  }

  #expectWhole(): void {
    if (this.broken) throw new Error("no storage");
  }
}

const file = new MemoryFile();
// One device for most tests: a shader is compiled once for each.
const engine = createEngine({ gpu: navigator.gpu, tunings: file, tuningMs: LONG_MS });
afterAll(() => engine.dispose());
beforeEach(async () => {
  file.broken = false;
  await engine.clearTuning();
  file.writes = 0;
});

async function load(options: LoadOptions = {}, into: Engine = engine): Promise<void> {
  await into.load(MODEL, { fill: "off", gpuBudget: "100%", ...options }, {});
}

/** Tokens and log-probabilities of a reply: what variants may change. */
async function numbersOf(engine: Engine) {
  const { tokens, logprobs } = await replyOf(engine, PROMPT, { maxTokens: 6, topLogprobs: 3 });
  return { tokens, logprobs };
}

/** What the device of this browser has. */
async function deviceFacts() {
  const context = await openGpu(navigator.gpu);
  const { adapterClass, mostLanes } = context;
  const leastSubgroup = await usableSubgroups(context);
  context.dispose();
  return { adapterClass, leastSubgroup, mostLanes };
}

describe("variants", () => {
  test("are timed at the first load and kept for the next", async () => {
    await load();
    const found = engine.variants();
    const numbers = await numbersOf(engine);
    const { variants, gpuBytes } = engine.stats();
    await load();
    const kept = engine.variants();

    expect(Object.keys(found)).toEqual(familyNames);
    expect(Object.values(found).some(({ source }) => source === "tuned")).toBe(true);
    expect(found.matrix.medianMs[found.matrix.chosen]).toBeGreaterThan(0);
    expect(file.writes).toBe(1);
    for (const [family, { chosen, medianMs }] of Object.entries(found)) {
      expect(kept).toMatchObject({ [family]: { chosen, medianMs } });
    }
    expect(Object.values(kept).some(({ source }) => source === "tuned")).toBe(false);
    expect(engine.stats()).toMatchObject({ variants, gpuBytes });
    expect(await numbersOf(engine)).toEqual(numbers);
  });

  test("are the same whatever the budget, the policy and the length of the context", async () => {
    await load();
    const { variants } = engine.stats();
    await engine.setBudget({ gpu: "50%" });
    expect(engine.stats().variants).toEqual(variants);
    await load({ gpuBudget: "50%", policy: "lru", contextTokens: 32 });

    expect(engine.stats().variants).toEqual(variants);
    expect(file.writes).toBe(1);
  });

  test("are timed again once they are cleared, and for other formats of keys and values", async () => {
    await load();
    await engine.clearTuning();
    await load();
    expect(file.writes).toBe(2);
    await load({ kvCache: "f16" });

    expect(file.writes).toBe(3);
  });

  test("are the adapter's default where nothing may be timed, or nothing can be kept", async () => {
    const wanted = defaultChoice(await deviceFacts());
    await load({ autotune: false });
    const placeless = createEngine({ gpu: navigator.gpu });
    onTestFinished(() => placeless.dispose());
    await load({}, placeless);

    expect(engine.stats().variants).toEqual(wanted);
    expect(engine.variants().matrix).toMatchObject({ source: "default", medianMs: {} });
    expect(file.writes).toBe(0);
    expect(placeless.stats().variants).toEqual(wanted);
    expect(placeless.stats().gpuBytes).toBe(engine.stats().gpuBytes);
  });

  test("that are pinned stay as they are", async () => {
    await load({ variants: { matrix: "serial-64", norm: "workgroup-32" } });

    expect(engine.variants()).toMatchObject({
      matrix: { chosen: "serial-64", source: "pinned" },
      norm: { chosen: "workgroup-32", source: "pinned" },
    });
    expect(engine.variants().experts.source).not.toBe("pinned");
  });

  test("do not keep a model from loading when storage fails", async () => {
    file.broken = true;
    await load();
    const { variants } = engine.stats();
    await load();

    expect(engine.stats().variants).toEqual(variants);
    expect((await numbersOf(engine)).tokens.length).toBeGreaterThan(0);
    expect(file.writes).toBe(0);
    file.broken = false;
  });

  test("that order sums alike give the same bits, others the same tokens", async () => {
    const { leastSubgroup } = await deviceFacts();
    const families = ["matrix", "batch", "experts", "norm"] as const;
    const numbers = async (name: string) => {
      const variants = Object.fromEntries(families.map((family) => [family, name]));
      await load({ variants, autotune: false });
      return numbersOf(engine);
    };
    const serial = await numbers("serial");
    const workgroup = await numbers("workgroup");

    expect(workgroup.tokens).toEqual(serial.tokens);
    if (leastSubgroup === undefined) {
      await expect(numbers("subgroup")).rejects.toMatchObject({ code: "missing-feature" });
    } else {
      expect(await numbers("subgroup")).toEqual(workgroup);
    }
  });
});
