import { expect, test } from "vitest";
import type { ModelFile } from "../../../src/models/model.ts";
import {
  readRope,
  readScoreScale,
  windowRope,
  withRopeFactors,
} from "../../../src/models/rope-config.ts";

/** A file with keys under `any.rope.` and, named alone, tensors. */
function fileOf(keys: Record<string, number | string>, tensors: readonly string[] = []): ModelFile {
  const all: Record<string, number | string> = { "any.context_length": 4096 };
  for (const [key, value] of Object.entries(keys)) all[`any.rope.${key}`] = value;
  return {
    metadata: {
      number: (key) => all[key] as number,
      optionalNumber: (key) => all[key] as number | undefined,
      optionalNumberOrArray: (key) => all[key] as number | undefined,
      optionalBooleans: () => undefined,
      optionalBoolean: () => undefined,
      optionalString: (key) => all[key] as string | undefined,
    },
    shape: (tensor) => (tensors.includes(tensor) ? [4] : undefined),
  };
}

const read = (keys: Record<string, number | string>) =>
  readRope(fileOf(keys), "any", 8, "half-split");
const PLAIN = { dims: 8, base: 10_000, pairing: "half-split" };
const YARN = { originalTokens: 4096, extrapolation: 1, betaFast: 32, betaSlow: 1 };

test("without keys there is no scaling", () => {
  expect(read({})).toEqual(PLAIN);
  expect(read({ "scaling.type": "none", "scaling.factor": 4 })).toEqual(PLAIN);
});

test("linear scaling is the default, under its new and its old key; 0 is not set", () => {
  expect(read({ "scaling.factor": 4 })).toEqual({ ...PLAIN, scale: 4 });
  expect(read({ scale_linear: 2 })).toEqual({ ...PLAIN, scale: 2 });
  expect(read({ "scaling.factor": 0, freq_base: 5e5 })).toEqual({ ...PLAIN, base: 5e5 });
});

test("YaRN scales attention by 1 + 0.1 ln(factor), and by the file's own factor", () => {
  const keys = { "scaling.type": "yarn", "scaling.factor": 32 };
  const magnitude = 1 + 0.1 * Math.log(32);

  expect(read(keys)).toEqual({ ...PLAIN, scale: 32, yarn: YARN, magnitude });
  expect(read({ ...keys, "scaling.attn_factor": 0.5 }).magnitude).toBe(0.5 * magnitude);
  expect(
    read({
      ...keys,
      "scaling.original_context_length": 128,
      "scaling.yarn_beta_fast": 16,
      "scaling.yarn_beta_slow": 2,
      "scaling.yarn_ext_factor": 0.5,
    }).yarn,
  ).toEqual({ originalTokens: 128, extrapolation: 0.5, betaFast: 16, betaSlow: 2 });
});

test("YaRN that extrapolates nothing is linear scaling", () => {
  const keys = { "scaling.type": "yarn", "scaling.factor": 4, "scaling.yarn_ext_factor": 0 };

  expect(read(keys)).toEqual({ ...PLAIN, scale: 4 });
});

test("with a log multiplier YaRN scales whole scores, and not what is rotated", () => {
  const file = fileOf({
    "scaling.type": "yarn",
    "scaling.factor": 40,
    "scaling.yarn_log_multiplier": 0.0707,
  });

  const { rope, scoreScale } = readScoreScale(file, "any", readRope(file, "any", 8, "interleaved"));

  expect(rope.magnitude).toBeCloseTo(1, 12);
  expect(scoreScale).toBeCloseTo((1 + 0.0707 * Math.log(40)) ** 2, 12);
});

test("without one, scores are scaled as what is rotated is", () => {
  const file = fileOf({ "scaling.type": "yarn", "scaling.factor": 40 });
  const rope = readRope(file, "any", 8, "interleaved");

  expect(readScoreScale(file, "any", rope)).toEqual({ rope, scoreScale: rope.magnitude! ** 2 });
  expect(readScoreScale(fileOf({}), "any", read({})).scoreScale).toBe(1);
});

test("layers with windows may have a base of their own", () => {
  expect(windowRope(fileOf({ freq_base_swa: 5000 }), "any", read({})).base).toBe(5000);
  expect(windowRope(fileOf({}), "any", read({})).base).toBe(10_000);
});

test("factors are Llama's, or LongRoPE's beyond the original context", () => {
  const rope = read({});
  const long = ["rope_factors_long.weight", "rope_factors_short.weight"];
  const keys = { "scaling.original_context_length": 512 };

  expect(withRopeFactors(fileOf({}), "any", rope)).toEqual(rope);
  expect(withRopeFactors(fileOf({}, ["rope_freqs.weight"]), "any", rope).factors).toBe(
    "rope_freqs.weight",
  );
  expect(withRopeFactors(fileOf(keys, long), "any", rope)).toEqual({
    ...rope,
    factors: long[1],
    longFactors: { tensor: long[0], beyondTokens: 512 },
  });
});

test.for([
  [{ "scaling.type": "dynamic" }, "unsupported-model", "any.rope.scaling.type"],
  [{ "scaling.factor": -1 }, "bad-file", "any.rope.scaling.factor is -1"],
  [{ freq_base: Number.NaN, "scaling.attn_factor": Number.POSITIVE_INFINITY }, "bad-file", "attn"],
] as const)("%o is refused", ([keys, code, text]) => {
  expect(() => read(keys)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(text) }),
  );
});
