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
}

/** `addend` plus the dot product of two runs. The bound holds for any order of summation. */
export function dot(length: number, a: Run, b: Run, addend?: number): Value {
  let value = addend ?? 0;
  let magnitude = Math.abs(value);
  for (let i = 0; i < length; i++) {
    const product = a.data[a.first + i]! * b.data[b.first + i]!;
    value += product;
    magnitude += Math.abs(product);
  }
  const terms = length + (addend === undefined ? 0 : 1);
  return { value, bound: terms * ROUNDING * magnitude };
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
