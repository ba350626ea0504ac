const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** 65520, halfway between the largest f16 and the number after it: from here on f16 has only infinity. */
const OVERFLOW_BITS = 0x477f_f000;
/** 2^-14, the smallest normal f16. */
const SMALLEST_NORMAL_BITS = 0x3880_0000;
/** What the exponent of an f32 is above that of the same f16, in place. */
const EXPONENT_DIFFERENCE = (127 - 15) << 23;
const INFINITY_BITS = 0x7f80_0000;
/** Zeros above the lowest bit of an exponent, in 32 bits: bit 10 of a half. */
const LEADING_ZEROS = 21;
/** One over the smallest f16: subnormals are whole multiples of 2^-24. */
const SUBNORMALS_PER_ONE = 2 ** 24;

/**
 * The distance between neighbours for each sign and exponent, with the sign; exponent 0 is subnormal and has the distance of
 * exponent 1.
 */
const STEPS = Float64Array.from({ length: 64 }, (_, bits) => {
  const step = 2 ** (Math.max(bits & 31, 1) - 25);
  return bits & 32 ? -step : step;
});
/** The bit above the fraction for each sign and exponent: subnormals do not have it. */
const LEADING = Int32Array.from({ length: 64 }, (_, bits) => ((bits & 31) === 0 ? 0 : 0x400));

/** The number that the 16 bits of an IEEE half stand for: exact. */
export function f16ToF32(bits: number): number {
  const fraction = bits & 0x3ff;
  if ((bits & 0x7c00) === 0x7c00) {
    if (fraction !== 0) return NaN;
    return bits & 0x8000 ? -Infinity : Infinity;
  }
  const power = (bits >> 10) & 63;
  return (LEADING[power]! | fraction) * STEPS[power]!;
}

/**
 * The bits of the f32 that the 16 bits of an IEEE half stand for, as a signed number. Without a number in between it takes
 * a fraction of the time of {@link f16ToF32} in some browsers.
 */
export function f16ToF32Bits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) return sign | INFINITY_BITS | ((magnitude & 0x3ff) << 13);
  if (magnitude >= 0x400) return sign | ((magnitude << 13) + EXPONENT_DIFFERENCE);
  if (magnitude === 0) return sign;
  // A subnormal: its highest bit becomes the one above the fraction, and the exponent as much less as it moved.
  const moved = Math.clz32(magnitude) - LEADING_ZEROS;
  return sign | ((magnitude << (moved + 13)) + EXPONENT_DIFFERENCE - (moved << 23));
}

/** The bits of the IEEE half nearest to the f32 `value`, ties to even. Every NaN becomes a quiet one. */
export function f32ToF16(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  if (magnitude >= OVERFLOW_BITS) return sign | 0x7c00;
  if (magnitude < SMALLEST_NORMAL_BITS) {
    return sign | roundToEven(Math.abs(float[0]!) * SUBNORMALS_PER_ONE);
  }
  const half = magnitude - EXPONENT_DIFFERENCE;
  return sign | ((half + 0x0fff + ((half >>> 13) & 1)) >>> 13);
}

/** The bits of the smallest IEEE half that is not below `value`; `value` is in [0, 65504]. */
export function f32ToF16Up(value: number): number {
  const bits = f32ToF16(value);
  return f16ToF32(bits) < value ? bits + 1 : bits;
}

/** The whole number nearest to `value`, ties to even; `value` is not negative. */
function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 === 1);
  return up ? floor + 1 : floor;
}
