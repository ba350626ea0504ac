/** Relative error of one rounding to f32. */
export const ROUNDING = 2 ** -24;
/** Relative error that WGSL allows a division, 2.5 units in the last place. */
export const DIVISION = 2.5 * 2 ** -23;
/** Relative error that WGSL allows `inverseSqrt`, 2 units in the last place. */
export const INVERSE_SQRT = 2 * 2 ** -23;
/** Error that WGSL allows `log(x)`: absolute for x from 0.5 to 2, relative above (3 units in the last place). */
export const LOG_NEAR_1 = 2 ** -21;
export const LOG = 3 * 2 ** -23;
/** The smallest normal f32: a GPU may take anything nearer to 0 for 0. */
export const SMALLEST = 2 ** -126;

/** Relative error of one rounding to f16. */
export const ROUNDING_F16 = 2 ** -11;
/** Relative error that WGSL allows a conversion from f32 to f16: it may go to either neighbour. */
export const CONVERSION_F16 = 2 ** -10;
/** The smallest normal f16: a GPU may take anything nearer to 0 for 0. */
export const SMALLEST_F16 = 2 ** -14;

/** Relative error of `exp(x)`: what WGSL allows, or what SwiftShader was measured to need. */
export function expError(x: number): number {
  return Math.max(4e-6, (3 + 2 * Math.abs(x)) * 2 ** -23);
}

/** A value in f64 and how far from it a right result in f32 may be. */
export interface Value {
  readonly value: number;
  readonly bound: number;
}

/** A number that is known exactly. */
export function exact(value: number): Value {
  return { value, bound: 0 };
}

/** `a * b` of numbers that carry errors already. */
export function times(a: Value, b: Value): Value {
  const value = a.value * b.value;
  const carried =
    Math.abs(a.value) * b.bound + Math.abs(b.value) * a.bound + a.bound * b.bound + SMALLEST;
  return { value, bound: carried + ROUNDING * (Math.abs(value) + carried) };
}

/** The sum of numbers that carry errors already. The bound holds for any order of summation. */
export function sumOf(terms: readonly Value[]): Value {
  let value = 0;
  let carried = 0;
  let magnitude = 0;
  for (const term of terms) {
    value += term.value;
    carried += term.bound;
    magnitude += Math.abs(term.value) + term.bound;
  }
  return { value, bound: carried + terms.length * ROUNDING * magnitude };
}

/** A run of numbers: `length` of them from `first` on. */
export interface Run {
  readonly data: ArrayLike<number>;
  readonly first: number;
  /**
   * Of numbers that are multiplied in f16 with whole numbers, four products a sum (`shaders/linear/unit/half_blocks.wgsl`):
   * what the smallest normal half counts in each number's block.
   */
  readonly steps?: ArrayLike<number> | undefined;
}

/** Products that are added in f16. */
const PRODUCTS_F16 = 4;

/**
 * What a product with a whole number of weight `weight` loses in f16 at most: a rounding by itself and one in each addition
 * behind it, and whatever is below the smallest normal half, as the number, the product, or the sum after it. A whole
 * number is 1 at least, or else nothing is lost: so a half of 2^-14 counts no more than `weight * step` there.
 */
export function halfLoss(weight: number, number: number, step: number): number {
  const roundings = PRODUCTS_F16 * ROUNDING_F16;
  const relative = roundings / (1 - roundings);
  return Math.abs(weight) * (relative * Math.abs(number) + 3 * step);
}

/** `addend` plus the dot product of two runs, of which `b` may be in halves. The bound holds for any order of summation. */
export function dot(length: number, a: Run, b: Run, addend?: number): Value {
  let value = addend ?? 0;
  let magnitude = Math.abs(value);
  let lost = 0;
  for (let i = 0; i < length; i++) {
    const [weight, number] = [a.data[a.first + i]!, b.data[b.first + i]!];
    value += weight * number;
    magnitude += Math.abs(weight * number);
    if (b.steps) lost += halfLoss(weight, number, b.steps[b.first + i]!);
  }
  const terms = length + (addend === undefined ? 0 : 1);
  return { value, bound: lost + terms * ROUNDING * (magnitude + lost) };
}

/** What is done to a product besides. */
export interface ProductOptions {
  /** [rows] */
  readonly bias?: ArrayLike<number> | undefined;
  readonly scale?: number | undefined;
  /** [tokens, rows] */
  readonly residual?: ArrayLike<number> | undefined;
}

/** `scale * (sum + bias) + residual`, of the element `index` in row `row`. */
export function finished(
  sum: Value,
  row: number,
  index: number,
  { bias, scale = 1, residual }: ProductOptions,
): Value {
  const added = bias?.[row] ?? 0;
  const biased = sum.value + added;
  const rest = residual?.[index] ?? 0;
  const value = scale * biased + rest;
  // Each operation rounds once.
  const product = Math.abs(scale) * (sum.bound + ROUNDING * (2 * Math.abs(biased) + sum.bound));
  return { value, bound: product + ROUNDING * (Math.abs(value) + product) };
}

/** Values as `expectWithin` takes them. */
export function bounded(values: readonly Value[]): { values: number[]; bounds: number[] } {
  return { values: values.map(({ value }) => value), bounds: values.map(({ bound }) => bound) };
}
