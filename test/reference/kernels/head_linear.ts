import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot } from "./bounds.ts";

/** Which part of what each head uses. */
export interface HeadShape {
  readonly heads: number;
  /** Rows of a head's matrix, and which of them count. */
  readonly headRows: number;
  readonly firstRow: number;
  readonly rows: number;
  readonly cols: number;
  /** Values of x for each head. */
  readonly xWidth: number;
}

/** `W[head] x[head]`. weights [heads, headRows, cols], x [tokens, heads, xWidth] -> [tokens, heads, rows] */
export function headLinearReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  { heads, headRows, firstRow, rows, cols, xWidth }: HeadShape,
): Bounded {
  const shares = x.length / xWidth;
  return bounded(
    Array.from({ length: shares * rows }, (_, index) => {
      const share = Math.floor(index / rows);
      const row = (share % heads) * headRows + firstRow + (index % rows);
      return dot(cols, { data: weights, first: row * cols }, { data: x, first: share * xWidth });
    }),
  );
}

/** `W[head]ᵀ x[head]`. weights [heads, headRows, cols], x [tokens, heads, xWidth] -> [tokens, heads, cols] */
export function headLinearTransposedReference(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  { heads, headRows, firstRow, rows, cols, xWidth }: HeadShape,
): Bounded {
  const shares = x.length / xWidth;
  return bounded(
    Array.from({ length: shares * cols }, (_, index) => {
      const share = Math.floor(index / cols);
      const top = (share % heads) * headRows + firstRow;
      const column = Array.from(
        { length: rows },
        (_, row) => weights[(top + row) * cols + (index % cols)]!,
      );
      return dot(rows, { data: column, first: 0 }, { data: x, first: share * xWidth });
    }),
  );
}
