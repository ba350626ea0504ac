import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot } from "./bounds.ts";

/** `W x + residual`. weights [rows, x.length], residual [rows] */
export function matvecReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  residual?: ArrayLike<number>,
): Bounded {
  const rows = weights.length / x.length;
  return bounded(
    Array.from({ length: rows }, (_, row) =>
      dot(
        x.length,
        { data: weights, first: row * x.length },
        { data: x, first: 0 },
        residual?.[row],
      ),
    ),
  );
}
