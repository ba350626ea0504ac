import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import {
  parseTrace,
  type RoutingTrace,
  serializeTrace,
  TraceRecorder,
} from "../../../src/experts/trace.ts";

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

const anyTrace: fc.Arbitrary<RoutingTrace> = fc
  .record({ topK: fc.integer({ min: 1, max: 3 }), layers: fc.array(fc.nat(40), { maxLength: 3 }) })
  .chain(({ topK, layers }) => {
    const width = topK * layers.length;
    const experts = fc.array(fc.nat(7), { minLength: width, maxLength: width });
    return fc.record({
      topK: fc.constant(topK),
      experts: fc.constant(8),
      layers: fc.constant(layers),
      tokens: fc.array(fc.record({ token: fc.nat(200_000), experts }), { maxLength: 5 }),
    });
  });

describe("serializeTrace", () => {
  test("is read back by parseTrace", () => {
    fc.assert(
      fc.property(anyTrace, (trace) => {
        expect(parseTrace(serializeTrace(trace))).toEqual(trace);
      }),
      { numRuns: 100 },
    );
  });

  test("writes one row a token", () => {
    const trace = { topK: 1, experts: 4, layers: [0, 1], tokens: [{ token: 9, experts: [3, 0] }] };

    expect(serializeTrace(trace)).toBe(
      '{"version":1,"topK":1,"experts":4,"layers":[0,1],"tokens":[[9,3,0]]}',
    );
  });
});

describe("parseTrace", () => {
  test.for([
    ["", "it is not JSON"],
    ["[]", "its version is undefined"],
    ["null", "it is not a JSON object"],
    ['{"version":2}', "its version is 2, not 1"],
    ['{"version":1,"topK":-1,"experts":4}', "topK or experts is not a count"],
    ['{"version":1,"topK":1,"experts":4,"layers":["a"]}', "layers is not a list"],
    ['{"version":1,"topK":1,"experts":4,"layers":[0],"tokens":{}}', "tokens is not a list"],
    [
      '{"version":1,"topK":1,"experts":4,"layers":[0],"tokens":[[7]]}',
      "position 0 is not a list of 2",
    ],
    [
      '{"version":1,"topK":1,"experts":4,"layers":[0],"tokens":[[7,4]]}',
      "position 0 names expert 4 of 4",
    ],
  ])("refuses %s", ([text, reason]) => {
    expect(() => parseTrace(text!)).toThrow(SluiceError);
    expect(() => parseTrace(text!)).toThrow(reason!);
  });
});
