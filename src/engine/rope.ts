import type { RopeSpec } from "../ops/ops.ts";

/** The tensor that divides the frequencies in a context of `contextTokens`; undefined when there is none. */
export function ropeFactors(rope: RopeSpec, contextTokens: number): string | undefined {
  const { factors, longFactors } = rope;
  return longFactors && contextTokens > longFactors.beyondTokens ? longFactors.tensor : factors;
}

/**
 * The cosine and sine of every angle: `[contextTokens, dims / 2]` pairs, f32, computed in f64 (software adapters' own
 * sine and cosine are off by 1e-3 at far positions).
 * @param factors divide the frequencies, `[dims / 2]`; none when absent
 */
export function ropeAngles(
  rope: RopeSpec,
  contextTokens: number,
  factors?: Float32Array,
): Float32Array<ArrayBuffer> {
  const { dims, base, magnitude = 1 } = rope;
  const half = dims / 2;
  const frequencies = Array.from({ length: half }, (_, pair) => {
    const frequency = base ** ((-2 * pair) / dims) / (factors?.[pair] ?? 1);
    return frequency * positionScale(rope, pair);
  });
  const table = new Float32Array(2 * contextTokens * half);
  for (let position = 0; position < contextTokens; position++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = position * frequencies[pair]!;
      table[2 * (position * half + pair)] = magnitude * Math.cos(angle);
      table[2 * (position * half + pair) + 1] = magnitude * Math.sin(angle);
    }
  }
  return table;
}

/** What a pair's positions are multiplied by: `1 / scale`, or less of it for pairs that YaRN lets extrapolate. */
function positionScale({ scale = 1, dims, base, yarn }: RopeSpec, pair: number): number {
  if (!yarn) return 1 / scale;
  /** The pair, not rounded, that turns `turns` times in the original context. */
  const pairOf = (turns: number) =>
    (dims * Math.log(yarn.originalTokens / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const first = Math.max(0, Math.floor(pairOf(yarn.betaFast)));
  const last = Math.min(dims - 1, Math.ceil(pairOf(yarn.betaSlow)));
  const ramp = (pair - first) / Math.max(MIN_RAMP, last - first);
  const extrapolated = yarn.extrapolation * (1 - Math.min(1, Math.max(0, ramp)));
  return (1 - extrapolated) / scale + extrapolated;
}

/** Least length of YaRN's ramp, in pairs: llama.cpp's. */
const MIN_RAMP = 0.001;
