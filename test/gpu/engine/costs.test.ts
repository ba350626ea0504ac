import { expect, onTestFinished, test } from "vitest";
import type { LoadOptions } from "../../../src/index.ts";
import { createGpuEngine, loadCold } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const MODEL = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 }).buffer;

function startEngine() {
  const engine = createGpuEngine();
  onTestFinished(() => engine.dispose());
  return engine;
}

test("what passes cost is measured once for each kind of them on a device", async () => {
  const engine = startEngine();
  const costsWith = async (options: LoadOptions) => {
    await loadCold(engine, MODEL, options);
    return engine.stats().costs;
  };

  const first = await costsWith({});
  const again = await costsWith({ gpuBudget: "50%", policy: "lru", pacing: "layer" });
  const others = [
    await costsWith({ kvCache: "f16" }),
    await costsWith({ contextTokens: 32 }),
    await costsWith({ predictor: "next-layer" }),
    await costsWith({ accuracy: "int8" }),
    await costsWith({ variants: "workgroup" }),
  ];

  expect(first.layerMs).toBeGreaterThan(0);
  expect(again).toEqual(first);
  for (const costs of others) expect(costs).not.toEqual(first);
  expect(await costsWith({})).toEqual(first);
});

test("a device of its own has costs of its own", async () => {
  const [one, other] = [startEngine(), startEngine()];

  await loadCold(one, MODEL);
  await loadCold(other, MODEL);

  expect(other.stats().costs).not.toEqual(one.stats().costs);
});
