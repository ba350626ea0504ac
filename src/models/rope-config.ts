import { SluiceError } from "../errors.ts";
import type { RopeSpec, YarnSpec } from "../ops/ops.ts";
import type { ModelFile } from "./model.ts";

/** Ways of scaling that files name; `longrope` scales by tensors: see {@link withRopeFactors}. */
const SCALINGS = ["none", "linear", "longrope", "yarn"] as const;

/**
 * The rotary embedding that a file's keys describe, of the first `dims` dimensions of a head.
 * Throws "unsupported-model" for a scaling that is not known and "bad-file" for numbers that cannot be.
 * Source: llama.cpp `src/llama-model.cpp` (keys) and `src/llama-context.cpp` (factors of attention).
 */
export function readRope(
  file: ModelFile,
  architecture: string,
  dims: number,
  pairing: RopeSpec["pairing"],
): RopeSpec {
  const type = scalingType(file, architecture);
  const read = (name: string, otherwise: number) => positive(file, architecture, name, otherwise);
  const scale = type === "none" ? 1 : read("scaling.factor", read("scale_linear", 1));
  const yarn = type === "yarn" ? readYarn(file, architecture) : undefined;
  const magnitude = read("scaling.attn_factor", 1) * (yarn ? yarnMagnitude(scale) : 1);
  return {
    dims,
    base: read("freq_base", DEFAULT_BASE),
    pairing,
    ...(scale !== 1 && { scale }),
    ...(yarn && { yarn }),
    ...(magnitude !== 1 && { magnitude }),
  };
}

const DEFAULT_BASE = 10_000;

/** The same in layers with a sliding window, which may have a base of their own. */
export function windowRope(file: ModelFile, architecture: string, rope: RopeSpec): RopeSpec {
  return { ...rope, base: positive(file, architecture, "freq_base_swa", rope.base) };
}

/**
 * `rope` with the factors that are tensors of the file: Llama 3's, or LongRoPE's, of which a context longer than the
 * original one takes the long ones.
 */
export function withRopeFactors(file: ModelFile, architecture: string, rope: RopeSpec): RopeSpec {
  if (file.shape(ROPE_FACTORS)) return { ...rope, factors: ROPE_FACTORS };
  if (!file.shape(LONG_FACTORS) && !file.shape(SHORT_FACTORS)) return rope;
  const beyondTokens = originalTokens(file, architecture);
  return { ...rope, factors: SHORT_FACTORS, longFactors: { tensor: LONG_FACTORS, beyondTokens } };
}

const ROPE_FACTORS = "rope_freqs.weight";
const LONG_FACTORS = "rope_factors_long.weight";
const SHORT_FACTORS = "rope_factors_short.weight";

/**
 * YaRN where the file has a `yarn_log_multiplier`, as DeepSeek's models do: all of q·k is scaled, and what is rotated is
 * not scaled besides. `scoreScale` multiplies q·k. Source: llama.cpp `src/models/deepseek2.cpp`.
 */
export function readScoreScale(
  file: ModelFile,
  architecture: string,
  rope: RopeSpec,
): { readonly rope: RopeSpec; readonly scoreScale: number } {
  const { scale = 1, magnitude = 1 } = rope;
  const key = `${architecture}.rope.scaling.yarn_log_multiplier`;
  const multiplier = file.metadata.optionalNumber(key) ?? 0;
  if (!rope.yarn || multiplier === 0) return { rope, scoreScale: magnitude ** 2 };
  const left = magnitude / yarnMagnitude(scale);
  // Converters have multiplied it by the 0.1 of YaRN's formula.
  const ofScores = left * (1 + multiplier * Math.log(scale));
  return { rope: { ...rope, magnitude: left }, scoreScale: ofScores ** 2 };
}

/** YaRN's factor of attention, for q and for k each. */
function yarnMagnitude(scale: number): number {
  return scale <= 1 ? 1 : 1 + 0.1 * Math.log(scale);
}

/** Undefined when nothing is extrapolated: then it is linear scaling. */
function readYarn(file: ModelFile, architecture: string): YarnSpec | undefined {
  const key = `${architecture}.rope.scaling.yarn_ext_factor`;
  const extrapolation = file.metadata.optionalNumber(key) ?? 1;
  if (extrapolation === 0) return undefined;
  return {
    originalTokens: originalTokens(file, architecture),
    extrapolation,
    betaFast: positive(file, architecture, "scaling.yarn_beta_fast", 32),
    betaSlow: positive(file, architecture, "scaling.yarn_beta_slow", 1),
  };
}

/** The context that the model was trained for before it was extended. */
function originalTokens(file: ModelFile, architecture: string): number {
  const trained = file.metadata.number(`${architecture}.context_length`);
  return positive(file, architecture, "scaling.original_context_length", trained);
}

function scalingType({ metadata }: ModelFile, architecture: string) {
  const key = `${architecture}.rope.scaling.type`;
  const type = metadata.optionalString(key) ?? "linear";
  const known = SCALINGS.find((scaling) => scaling === type);
  if (known) return known;
  throw new SluiceError(
    "unsupported-model",
    `This ${architecture} model has ${type} rope scaling (${key}), which Sluice does not compute. Choose another model or conversion.`,
  );
}

/** A number above 0 under `rope.NAME`; files write 0 for "not set". Throws "bad-file". */
function positive(
  { metadata }: ModelFile,
  architecture: string,
  name: string,
  otherwise: number,
): number {
  const key = `${architecture}.rope.${name}`;
  const value = metadata.optionalNumber(key) || otherwise;
  if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new SluiceError("bad-file", `${key} is ${value}; wanted a number above 0.`);
}
