import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import { type RoutingTrace, TraceRecorder } from "../../../src/experts/trace.ts";
import { parseTrace, serializeTrace } from "../../../src/experts/trace-file.ts";
import { runs } from "../../helpers/random-cases.ts";

const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

/** Traces with and without what version 2 added. */
const anyTrace: fc.Arbitrary<RoutingTrace> = fc
  .record({
    topK: fc.integer({ min: 1, max: 3 }),
    layers: fc.array(fc.nat(40), { minLength: 1, maxLength: 3 }),
    filled: optional(fc.boolean()),
    routerInput: optional(fc.constantFrom("pre-attention" as const, "post-attention" as const)),
    recordBytes: optional(fc.integer({ min: 1, max: 1e7 })),
    passes: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
    told: fc.boolean(),
  })
  .chain(({ topK, layers, filled, routerInput, recordBytes, passes, told }) => {
    const width = topK * layers.length;
    const tokens = passes.reduce((sum, count) => sum + count, 0);
    const experts = fc.array(fc.nat(7), { minLength: width, maxLength: width });
    return fc
      .array(fc.record({ token: fc.nat(200_000), experts }), {
        minLength: tokens,
        maxLength: tokens,
      })
      .map((rows) => ({
        topK,
        experts: 8,
        layers,
        tokens: rows,
        ...(told && { passes, pools: layers.map((_, moe) => Math.floor(moe / 2)) }),
        ...(filled !== undefined && { filled }),
        ...(routerInput && { routerInput }),
        ...(recordBytes !== undefined && {
          recordBytes: Array<number>(told ? Math.ceil(layers.length / 2) : layers.length).fill(
            recordBytes,
          ),
        }),
      }));
  });

describe("serializeTrace", () => {
  test("is read back by parseTrace", () => {
    fc.assert(
      fc.property(anyTrace, (trace) => {
        expect(parseTrace(serializeTrace(trace))).toEqual(trace);
      }),
      { numRuns: runs(200) },
    );
  });

  test("writes one row a token, behind what the recorder was told", () => {
    const recorder = new TraceRecorder({
      topK: 1,
      experts: 4,
      layers: [0, 1],
      recordBytes: [64, 96],
      filled: true,
      routerInput: "pre-attention",
    });
    recorder.record([9], [[3], [0]]);

    expect(JSON.parse(serializeTrace(recorder.trace()))).toEqual({
      version: 2,
      topK: 1,
      experts: 4,
      layers: [0, 1],
      recordBytes: [64, 96],
      filled: true,
      routerInput: "pre-attention",
      passes: [1],
      tokens: [[9, 3, 0]],
    });
  });
});

describe("parseTrace", () => {
  test("reads version 1", () => {
    const text = '{"version":1,"topK":1,"experts":4,"layers":[0,1],"tokens":[[9,3,0]]}';

    expect(parseTrace(text)).toEqual({
      topK: 1,
      experts: 4,
      layers: [0, 1],
      tokens: [{ token: 9, experts: [3, 0] }],
    });
  });

  const head = '{"version":2,"topK":1,"experts":4,"layers":[0,1]';
  test.for([
    ["", "it is not JSON"],
    ["[]", "its version is undefined"],
    ["null", "it is not a JSON object"],
    ['{"version":3}', "its version is 3, not 1 or 2"],
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
    [`${head},"pools":[0]}`, "pools is not a list of 2 pool numbers"],
    [`${head},"pools":[0,2]}`, "pools is not a list of 2 pool numbers below 2"],
    [`${head},"recordBytes":[1]}`, "recordBytes is not a list of 2 numbers of bytes"],
    [`${head},"recordBytes":[1,0]}`, "recordBytes is not a list of 2 numbers of bytes"],
    [`${head},"pools":[0,0],"recordBytes":[1,1]}`, "recordBytes is not a list of 1 numbers"],
    [`${head},"filled":1}`, "filled is not true or false"],
    [`${head},"routerInput":"tea-leaves"}`, "routerInput is not one of pre-attention"],
    [`${head},"tokens":[[7,1,2]],"passes":[2]}`, "token counts that add up to 1"],
    [`${head},"tokens":[[7,1,2]],"passes":[1,0]}`, "token counts that add up to 1"],
    [`${head},"tokens":[[7,1,2]],"passes":"one"}`, "token counts that add up to 1"],
  ])("refuses %s", ([text, reason]) => {
    expect(() => parseTrace(text!)).toThrow(SluiceError);
    expect(() => parseTrace(text!)).toThrow(reason!);
  });
});
