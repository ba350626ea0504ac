import { describe, expect, test } from "vitest";
import { passesOf, poolsOf, TraceRecorder } from "../../../src/experts/trace.ts";

describe("TraceRecorder", () => {
  test("turns passes of several tokens into positions, layer by layer", () => {
    const recorder = new TraceRecorder({ topK: 2, experts: 8, layers: [0, 3] });

    recorder.record([10, 11], [new Uint32Array([1, 2, 3, 4]), new Uint32Array([5, 6, 7, 0])]);
    recorder.record(
      [12],
      [
        [2, 1],
        [0, 5],
      ],
    );

    expect(recorder.trace()).toEqual({
      topK: 2,
      experts: 8,
      layers: [0, 3],
      tokens: [
        { token: 10, experts: [1, 2, 5, 6] },
        { token: 11, experts: [3, 4, 7, 0] },
        { token: 12, experts: [2, 1, 0, 5] },
      ],
      passes: [2, 1],
    });
  });

  test("a trace that was taken does not grow", () => {
    const recorder = new TraceRecorder({ topK: 1, experts: 2, layers: [0] });
    recorder.record([5], [[1]]);

    const trace = recorder.trace();
    recorder.record([6], [[0]]);

    expect(trace.tokens).toHaveLength(1);
  });

  test("refuses ids of another shape, and records nothing of them", () => {
    const recorder = new TraceRecorder({ topK: 2, experts: 8, layers: [0, 1] });

    expect(() => recorder.record([1], [[1, 2]])).toThrow("a pass of 1 tokens");
    expect(() =>
      recorder.record(
        [1],
        [
          [1, 2],
          [1, 2, 3, 4],
        ],
      ),
    ).toThrow("a pass of 1 tokens");
    expect(recorder.trace().tokens).toEqual([]);
  });
});

describe("passesOf", () => {
  test("gives back the passes that were recorded", () => {
    const recorder = new TraceRecorder({ topK: 2, experts: 8, layers: [0, 3] });
    const passes = [
      { tokens: [10, 11], ids: [Uint32Array.of(1, 2, 3, 4), Uint32Array.of(5, 6, 7, 0)] },
      { tokens: [12], ids: [Uint32Array.of(2, 1), Uint32Array.of(0, 5)] },
    ];
    for (const { tokens, ids } of passes) recorder.record(tokens, ids);

    expect([...passesOf(recorder.trace())]).toEqual(passes);
  });

  test("gives one token a pass where the trace does not tell", () => {
    const tokens = [
      { token: 4, experts: [1] },
      { token: 5, experts: [0] },
    ];

    expect([...passesOf({ topK: 1, experts: 2, layers: [0], tokens })]).toEqual([
      { tokens: [4], ids: [Uint32Array.of(1)] },
      { tokens: [5], ids: [Uint32Array.of(0)] },
    ]);
  });
});

test("each MoE layer has its own pool unless the trace tells otherwise", () => {
  const shape = { topK: 1, experts: 2, layers: [1, 2, 5] };

  expect(poolsOf(shape)).toEqual([0, 1, 2]);
  expect(poolsOf({ ...shape, pools: [0, 0, 1] })).toEqual([0, 0, 1]);
});
