import { expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const LAYERS = 2;
const MODEL = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 });
const PROMPT = { tokens: [5, 17, 99, 3] };

test.for([
  ["all experts resident", {}, 1],
  // Steps behind a layer that lacks an expert run again.
  ["half of them", { gpuBudget: "50%" }, 8],
] as const)("tells where a pass's time goes, %s, and changes no reply", async (row) => {
  const [, budget, mostRuns] = row;
  const engine = createEngine({ gpu: navigator.gpu });
  onTestFinished(() => engine.dispose());
  await engine.load(MODEL.buffer, { fill: "wait", ...budget }, {});
  const before = await replyOf(engine, PROMPT, { maxTokens: 4 });

  const { adapter, ceilings, decode, prefill } = await engine.profile({ depth: 20 });

  expect(adapter).toBe(before.stats.adapter);
  for (const value of Object.values(ceilings)) expect(value).toBeGreaterThan(0);
  expect(decode).toMatchObject({ tokens: 1, position: 20 });
  expect(prefill).toMatchObject({ tokens: 32, position: 20 });
  for (const pass of [decode, prefill]) {
    const sum = (key: "count" | "microseconds" | "bytes" | "multiplyAdds") =>
      pass.rows.reduce((all, row) => all + row[key], 0);
    expect(sum("count")).toBe(pass.dispatches);
    expect(sum("microseconds")).toBeCloseTo(pass.microseconds);
    expect(pass.microseconds).toBeGreaterThan(0);
    expect(sum("bytes")).toBe(pass.bytes);
    expect(sum("multiplyAdds")).toBe(pass.multiplyAdds);
    const layers = new Set(pass.rows.map(({ layer }) => layer));
    expect(layers).toEqual(new Set([undefined, ...Array(LAYERS).keys()]));
  }
  // A token multiplies by each of its weights once.
  expect(prefill.multiplyAdds).toBeGreaterThan(20 * decode.multiplyAdds);
  const { dispatchesPerToken } = before.stats;
  expect(dispatchesPerToken).toBeGreaterThanOrEqual(decode.dispatches);
  expect(dispatchesPerToken).toBeLessThanOrEqual(mostRuns * decode.dispatches);
  const after = await replyOf(engine, PROMPT, { maxTokens: 4 });
  expect(after.tokens).toEqual(before.tokens);
});

test("refuses what the model does not have", async () => {
  const engine = createEngine({ gpu: navigator.gpu });
  onTestFinished(() => engine.dispose());
  await expect(engine.profile()).rejects.toMatchObject({ code: "engine-state" });
  await engine.load(MODEL.buffer, {}, {});

  await expect(engine.profile({ depth: 64 })).rejects.toMatchObject({ code: "bad-input" });
  await expect(engine.profile({ tokens: [-1] })).rejects.toMatchObject({ code: "bad-input" });
});
