import type { RopeSpec } from "../ops/ops.ts";

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
  const half = rope.dims / 2;
  const frequencies = Array.from(
    { length: half },
    (_, pair) =>
      rope.base ** ((-2 * pair) / rope.dims) / (factors?.[pair] ?? 1) / (rope.scale ?? 1),
  );
  const table = new Float32Array(2 * contextTokens * half);
  for (let position = 0; position < contextTokens; position++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = position * frequencies[pair]!;
      table[2 * (position * half + pair)] = Math.cos(angle);
      table[2 * (position * half + pair) + 1] = Math.sin(angle);
    }
  }
  return table;
}
