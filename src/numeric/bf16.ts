const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The number that the 16 bits of a bfloat16, the upper half of an f32, stand for: exact. */
export function bf16ToF32(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}

/**
 * The bits of the bfloat16 nearest to the f32 `value`, ties to even. A NaN stays one, made quiet.
 *
 * Source: ggml_compute_fp32_to_bf16.
 */
export function f32ToBf16(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
