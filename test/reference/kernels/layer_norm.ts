import type { LayerNormOptions } from "../../../src/ops/ops.ts";
import type { Bounded } from "../../helpers/within.ts";
import { layerNormed } from "../ops.ts";
import { bounded, DIVISION, INVERSE_SQRT, ROUNDING, type Value } from "./bounds.ts";

/** `(x - mean) / sqrt(variance + epsilon) * weight + bias`, each row by itself. x [tokens, weight.length] */
export function layerNormReference(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  options: LayerNormOptions,
): Bounded {
  const width = weight.length;
  const rows = Array.from({ length: x.length / width }, (_, token) =>
    layerNormedRow(
      Float64Array.from(x.subarray(token * width, (token + 1) * width)),
      weight,
      bias,
      options,
    ),
  );
  return bounded(rows.flat());
}

/** The layer norm of one row. x, weight and bias of one length */
export function layerNormedRow(
  x: Float64Array,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  options: LayerNormOptions,
): Value[] {
  const { epsilon, centred = true } = options;
  const width = x.length;
  const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
  const mean = centred ? sum(x) / width : 0;
  const meanBound =
    (centred ? 1 : 0) * ((width + 1) * ROUNDING + DIVISION) * (sum(x.map(Math.abs)) / width);
  const deviations = x.map((value) => value - mean);
  const bounds = deviations.map((d) => meanBound + ROUNDING * (Math.abs(d) + meanBound));
  const variance = sum(deviations.map((d) => d * d)) / width;
  // Of the squares: what their deviations carry, and a rounding for each term of the sum.
  const carried =
    sum(deviations.map((d, i) => bounds[i]! * (2 * Math.abs(d) + bounds[i]!))) / width;
  const wrong = carried + ((width + 2) * ROUNDING + DIVISION) * (variance + carried);
  const below = Math.max(epsilon, variance + epsilon - wrong);
  const scale = 1 / Math.sqrt(variance + epsilon);
  const scaleBound = (1 / Math.sqrt(below)) * (1 + INVERSE_SQRT + ROUNDING) - scale;
  const values = layerNormed(x, weight, bias, options);
  return Array.from(deviations, (d, i) => {
    const product =
      (bounds[i]! * (scale + scaleBound) + Math.abs(d) * scaleBound) * Math.abs(weight[i]!);
    const rounded = 3 * ROUNDING * Math.abs(d * scale * weight[i]!);
    const bound = product + rounded;
    return { value: values[i]!, bound: bound + ROUNDING * (Math.abs(values[i]!) + bound) };
  });
}
