import { expect, onTestFinished, test, vi } from "vitest";
import type { Engine } from "../../../src/engine/types.ts";
import type { LoadOptions } from "../../../src/index.ts";
import { createGpuEngine, loadCold } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const MODEL = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 }).buffer;

function startEngine() {
  const engine = createGpuEngine();
  onTestFinished(() => engine.dispose());
  return engine;
}

/**
 * Loads a model. What it submits says whether it measures: times of a small model may well be equal.
 */
async function load(engine: Engine, options: LoadOptions = {}) {
  const submit = vi.spyOn(GPUQueue.prototype, "submit");
  try {
    await loadCold(engine, MODEL, options);
    return { submits: submit.mock.calls.length, costs: engine.stats().costs };
  } finally {
    submit.mockRestore();
  }
}

test("what passes cost is measured once for each kind of them on a device", async () => {
  const engine = startEngine();

  const first = await load(engine);
  const again = await load(engine, { gpuBudget: "50%", policy: "lru", pacing: "layer" });

  expect(first.costs.layerMs).toBeGreaterThan(0);
  expect(again.costs).toEqual(first.costs);
  expect(again.submits).toBeLessThan(first.submits);

  const kinds: readonly LoadOptions[] = [
    { kvCache: "f16" },
    { contextTokens: 32 },
    { predictor: "next-layer" },
    { accuracy: "int8" },
    { variants: "workgroup" },
  ];
  for (const kind of kinds) {
    const measured = await load(engine, kind);
    const kept = await load(engine, kind);

    expect(kept.costs).toEqual(measured.costs);
    expect(kept.submits).toBeLessThan(measured.submits);
  }
  expect((await load(engine)).costs).toEqual(first.costs);
});

test("a device of its own has costs of its own", async () => {
  const [one, other] = [startEngine(), startEngine()];

  const measured = await load(one);
  const kept = await load(one);
  const others = await load(other);

  expect(kept.submits).toBeLessThan(measured.submits);
  expect(others.submits).toBeGreaterThan(kept.submits);
});
