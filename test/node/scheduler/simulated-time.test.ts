import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import {
  type CostModel,
  DEFAULT_COSTS,
  parseCosts,
} from "../../../src/scheduler/simulation/cost-model.ts";
import { type Simulation, simulate } from "../../../src/scheduler/simulation/simulator.ts";
import { traceOf } from "../experts/helpers.ts";

/** A layer takes 10 ms, 6 of them before its experts; what is read takes 7 ms from disk, and 1 ms to upload. */
const COSTS: CostModel = {
  layerMs: 10,
  expertMs: 4,
  prefillLayerMs: 2,
  skippedLayerMs: 1,
  passMs: 5,
  readbackMs: 3,
  overlapMs: 3,
  uploadMs: 1,
  uploadMsPerByte: 0,
  ramMsPerByte: 0,
  diskMs: 7,
  diskMsPerByte: 0,
  networkMs: 20,
  networkMsPerByte: 0,
};

const BASE = { policy: "lru", costs: COSTS, diskFilled: true } as const satisfies Omit<
  Simulation,
  "slotCounts"
>;

/** One token, two layers that want one expert each; nothing is on the GPU. */
const twoMisses = traceOf(4, [[[0], [1]]]);
const cold = { ...BASE, slotCounts: [2, 2] };

describe("a token's time", () => {
  test("with everything resident is its layers, the rest of the pass and one readback", () => {
    const trace = { ...twoMisses, filled: true };

    const result = simulate(trace, { ...BASE, slotCounts: [4, 4] });

    // 2 * 10 + 5 + 3
    expect(result).toMatchObject({ totalMs: 28, stallMs: 0, faults: 0, stops: 0, readbacks: 1 });
    expect(result.tokensPerSecond).toBeCloseTo(1000 / 28, 9);
  });

  test("without cuts a fault skips the rest, and a readback goes by before the load begins", () => {
    const result = simulate(twoMisses, { ...cold, pacing: "pass" });

    // Layer 0: its router at 6, both layers skipped 8, known 11, landed 18, uploaded 19, done 23.
    // Layer 1: its router at 29, skipped 30, known 33, landed 40, uploaded 41, done 45; then 5 and 3.
    expect(result).toMatchObject({ totalMs: 53, stallMs: 16, faults: 2, stops: 2, readbacks: 3 });
  });

  test("a cut saves the skipped steps", () => {
    const result = simulate(twoMisses, { ...cold, pacing: "layer" });

    // Known at 9, uploaded 17, done 21; known at 30, uploaded 38, done 42; then 5 and 3.
    expect(result).toMatchObject({ totalMs: 50, stallMs: 16, faults: 2, stops: 0, readbacks: 3 });
  });

  test("a router before attention is read, and loads begin, while attention runs", () => {
    const result = simulate(twoMisses, { ...cold, pacing: "layer", predictor: "pre-attention" });

    // Known at 3, uploaded 11 instead of due at 6, done 15; known at 18, uploaded 26, done 30; then 5 and 3.
    expect(result).toMatchObject({ totalMs: 38, stallMs: 10 });
  });

  test("behind a fault of such a router, attention is still to be done", () => {
    const result = simulate(twoMisses, { ...cold, pacing: "pass", predictor: "pre-attention" });

    // Layer 0: its router at 0, skipped 2, known 5, due at 11, uploaded 13, done 17.
    // Layer 1: its router at 17, skipped 18, known 21, due at 27, uploaded 29, done 33; then 5 and 3.
    expect(result).toMatchObject({ totalMs: 41, stallMs: 4, stops: 2, faults: 2 });
  });

  test("a cut without a miss costs what of the readback nothing hides", () => {
    const trace = { ...traceOf(4, [[[0]], [[0]]]), filled: true };
    const options = { ...BASE, slotCounts: [2], pacing: "layer" } as const;

    const after = simulate(trace, options);
    const before = simulate(trace, { ...options, predictor: "pre-attention" });

    expect(after.totalMs).toBe(2 * (10 + 5 + 3 + 3));
    expect(before.totalMs).toBe(2 * (10 + 5 + 3));

    const costs = { ...COSTS, overlapMs: 1 };
    const half = simulate(trace, { ...options, costs, predictor: "pre-attention" });
    expect(half.totalMs).toBe(2 * (10 + 2 + 5 + 3));
  });

  test("what is there is computed while the rest is loaded", () => {
    const trace = traceOf(4, [[[0, 1]], [[0, 2]]]);

    const result = simulate(trace, { ...BASE, slotCounts: [3], pacing: "layer" });

    // Known at 9, half computed 11, uploaded 17, the other half 19; then 5 and 3.
    expect(result.tokenMs.p50).toBe(27);
    expect(result.tokenMs.p95).toBe(result.totalMs - 27);
  });

  test("records queue for the disk's bytes and share its latency", () => {
    const trace = traceOf(4, [[[0, 1]]]);
    const costs = { ...COSTS, diskMsPerByte: 0.1 };

    const result = simulate(trace, {
      ...BASE,
      costs,
      slotCounts: [2],
      recordBytes: [100],
      pacing: "layer",
    });

    // Known at 9, bytes 19 and 29, landed 26 and 36, uploaded 37, done 41; then 5 and 3.
    expect(result).toMatchObject({ totalMs: 49, bytesFromDisk: 200, bytesUploaded: 200 });
  });

  test("what an exact predictor names and RAM has is no fault", () => {
    const trace = { ...twoMisses, tokens: [{ token: 0, experts: [3, 3] }], filled: true };
    const options = { ...BASE, slotCounts: [2, 2], pacing: "layer" } as const;

    expect(simulate(trace, { ...options, predictor: "pre-attention" })).toMatchObject({
      faults: 0,
      misses: 2,
    });
    expect(simulate(trace, options)).toMatchObject({ faults: 2, misses: 2 });
  });

  test("from RAM there is only the upload, from the network its latency", () => {
    const trace = traceOf(4, [[[0]], [[1]], [[0]]]);

    const result = simulate(trace, {
      ...BASE,
      slotCounts: [1],
      diskFilled: false,
      pacing: "layer",
    });

    // Known at 9; from the network uploaded at 30, from RAM at 10; then 4, 5 and 3.
    expect(result.totalMs).toBe(42 + 42 + 22);
    expect(result.loads).toEqual({ ram: 1, disk: 0, source: 2 });
  });

  test("a prompt takes longer by its tokens, and is read at every layer that can miss", () => {
    const trace = { ...traceOf(4, [[[0]], [[0]], [[0]]]), passes: [3], filled: true };

    const some = simulate(trace, { ...BASE, slotCounts: [2] });
    const all = simulate(trace, { ...BASE, slotCounts: [4] });

    // A layer of three tokens takes 10 + 2 * 2.
    expect(some).toMatchObject({ prefillMs: 14 + 3 + 5 + 3, readbacks: 2, tokensPerSecond: 0 });
    expect(all).toMatchObject({ prefillMs: 14 + 5 + 3, readbacks: 1 });
  });
});

describe("parseCosts", () => {
  test("keeps the default of what is not named", () => {
    expect(parseCosts('{"readbackMs":100}')).toEqual({ ...DEFAULT_COSTS, readbackMs: 100 });
  });

  test.for([
    ["{", "it is not JSON"],
    ["[]", "it is not a JSON object"],
    ["7", "it is not a JSON object"],
    ['{"readback":1}', '"readback" is not a cost; the costs are layerMs'],
    ['{"readbackMs":-1}', "readbackMs is -1, must be a number, at least 0"],
    ['{"readbackMs":"1"}', 'readbackMs is "1", must be a number'],
    ['{"diskMs":1e999}', "diskMs is null, must be a number"],
    ['{"layerMs":1,"expertMs":2}', "expertMs (2) is more than layerMs (1)"],
  ])("refuses %s", ([text, reason]) => {
    expect(() => parseCosts(text!)).toThrow(SluiceError);
    expect(() => parseCosts(text!)).toThrow(reason!);
  });
});
