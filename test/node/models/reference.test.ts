import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AttentionSpec, RopeSpec } from "../../../src/ops/ops.ts";
import { runs } from "../../helpers/random-cases.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { openReferenceModel } from "../../reference/model.ts";
import {
  createReferenceOps,
  type ReferenceTensor,
  rmsNormed,
  rotated,
} from "../../reference/ops.ts";

const SMALL = { hidden: 16, ffn: 24, heads: 4, headDim: 8, experts: 4 } as const;

const MODELS: readonly TinyModelOptions[] = [
  { architecture: "smallthinker", ...SMALL },
  { architecture: "smallthinker", ...SMALL, layers: 5, windows: true },
  { architecture: "qwen3moe", ...SMALL },
  { architecture: "olmoe", ...SMALL, headDim: 4 },
  { architecture: "llama", ...SMALL, experts: 0 },
  { architecture: "qwen2", ...SMALL, headDim: 4 },
  { architecture: "gpt-oss", ...SMALL, window: 3 },
  { architecture: "llama", ...SMALL },
  { architecture: "granitehybrid", ...SMALL },
  { architecture: "lfm2", ...SMALL },
  { architecture: "sluice", ...SMALL, layers: 3, routerInput: "post-attention" },
  { architecture: "sluice", ...SMALL, layers: 3, routerInput: "pre-attention" },
  { architecture: "sluice", ...SMALL, layers: 3, routerInput: "previous-layer" },
  { architecture: "sluice", ...SMALL, layers: 3, routerInput: "decoupled" },
  { architecture: "sluice", ...SMALL, layers: 3, routerInput: "token" },
];

describe.for(MODELS)("%o", (options) => {
  test("a pass over many tokens is the same as a pass for each, and as passes over chunks", async () => {
    const bytes = tinyModel(options);
    const tokens = [5, 80, 5, 200, 11, 319, 0, 42];
    const inChunks = async (...lengths: number[]) => {
      const model = await openReferenceModel(bytes);
      const rest = [...tokens];
      const passes = lengths.map((length) => model.run(rest.splice(0, length)));
      return {
        logits: passes.at(-1)!.logits,
        experts: model.spec.moe.map((_, i) => passes.flatMap((pass) => pass.choices[i]!.experts)),
      };
    };

    const whole = await inChunks(8);
    expect(await inChunks(1, 1, 1, 1, 1, 1, 1, 1)).toEqual(whole);
    expect(await inChunks(3, 4, 1)).toEqual(whole);
  });

  test("tells its observer of every op", async () => {
    const seen: string[] = [];
    const observe = (op: string, of: string) => void seen.push(`${op} ${of}`);
    const model = await openReferenceModel(tinyModel(options), { observe });
    model.run([1, 2]);
    expect(seen[0]).toBe("embed token_embd.weight");
    expect(seen).toContain("linear blk.1.attn_q.weight");
    expect(seen.at(-1)).toBe("linear output.weight");
  });
});

describe("rotation", () => {
  const rope = (pairing: RopeSpec["pairing"]): RopeSpec => ({ dims: 8, base: 10_000, pairing });
  const vector = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), {
    minLength: 8,
    maxLength: 8,
  });
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

  test.for(["half-split", "interleaved"] as const)(
    "%s keeps lengths, and products see only the distance",
    (pairing) => {
      fc.assert(
        fc.property(vector, vector, fc.nat(500), fc.nat(500), (a, b, position, distance) => {
          const [q, k] = [Float64Array.from(a), Float64Array.from(b)];
          const turn = (x: Float64Array, p: number) => rotated(x, p, rope(pairing));
          expect(dot(turn(q, position), turn(q, position))).toBeCloseTo(dot(q, q), 8);
          expect(dot(turn(q, position + distance), turn(k, position))).toBeCloseTo(
            dot(turn(q, distance), k),
            8,
          );
        }),
        { numRuns: runs(100) },
      );
    },
  );

  test("turns the first pair by the position, in the pairing's dimensions", () => {
    const x = Float64Array.of(1, 0, 0, 0, 0, 0, 0, 0);
    const half = rotated(x, 2, rope("half-split"));
    expect([half[0], half[4]]).toEqual([Math.cos(2), Math.sin(2)]);
    const interleaved = rotated(x, 2, rope("interleaved"));
    expect([interleaved[0], interleaved[1]]).toEqual([Math.cos(2), Math.sin(2)]);
  });

  test("scale divides the position and factors the frequencies", () => {
    const x = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const plain = rotated(x, 3, rope("half-split"));
    expect(rotated(x, 12, { ...rope("half-split"), scale: 4 })).toEqual(plain);
    expect(rotated(x, 12, rope("half-split"), [4, 4, 4, 4])).toEqual(plain);
  });

  test("leaves dimensions past its own", () => {
    const x = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const turned = rotated(x, 5, { ...rope("half-split"), dims: 4 });
    expect([...turned.slice(4)]).toEqual([5, 6, 7, 8]);
  });
});

test("a norm gives a mean square of one, but for epsilon", () => {
  const normed = rmsNormed(Float64Array.of(3, -4, 12, 0), [1, 1, 1, 1], 0);
  expect(normed.reduce((sum, x) => sum + x * x, 0) / 4).toBeCloseTo(1, 12);
  expect([...rmsNormed(Float64Array.of(0, 0), [1, 1], 1e-5)]).toEqual([0, 0]);
});

describe("attention", () => {
  const SPEC: AttentionSpec = { layer: 0, heads: 2, kvHeads: 1, headDim: 2, scale: 1 };

  /** The attention of a pass over three tokens with these queries, keys and values. */
  function attend(q: number[], k: number[], v: number[], spec: AttentionSpec): number[] {
    const ops = createReferenceOps(() => ({ shape: [3, 1], data: Float64Array.of(0, 0, 0) }));
    let result: ReferenceTensor | undefined;
    const tensor = (data: number[]): ReferenceTensor => ({
      tokens: 3,
      width: data.length / 3,
      data: Float64Array.from(data),
    });
    const forward = () => {
      ops.embed("table");
      result = ops.attention(tensor(q), tensor(k), tensor(v), spec);
      ops.logits(result);
    };
    ops.run({ forward } as unknown as Parameters<typeof ops.run>[0], [0, 1, 2]);
    return [...result!.data];
  }

  test("averages the values so far where all keys are alike, for each query head of a KV head", () => {
    const averages = attend(
      new Array(12).fill(1),
      new Array(6).fill(1),
      [1, 10, 2, 20, 6, 60],
      SPEC,
    );
    const expected = [1, 10, 1, 10, 1.5, 15, 1.5, 15, 3, 30, 3, 30];
    averages.forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 12));
  });

  test("sees no further back than its window", () => {
    const spec = { ...SPEC, window: 2 };
    const averages = attend(
      new Array(12).fill(1),
      new Array(6).fill(1),
      [1, 10, 2, 20, 6, 60],
      spec,
    );
    expect(averages.slice(8)).toEqual([4, 40, 4, 40].map((value) => expect.closeTo(value, 12)));
  });

  test("gives query heads to KV heads in runs", () => {
    const spec = { ...SPEC, heads: 4, kvHeads: 2, headDim: 1 };
    const values = attend(new Array(12).fill(0), new Array(6).fill(0), [1, 2, 1, 2, 1, 2], spec);
    expect(values.slice(0, 4)).toEqual([1, 1, 2, 2]);
  });
});

test("a weight of another shape is refused by name", async () => {
  const ops = createReferenceOps(() => ({ shape: [4, 3], data: new Float64Array(12) }));
  const x = { tokens: 1, width: 5, data: new Float64Array(5) };
  expect(() => ops.linear(x, "blk.0.attn_q.weight")).toThrow(
    "blk.0.attn_q.weight is [4,3], wanted [4,5].",
  );
});
