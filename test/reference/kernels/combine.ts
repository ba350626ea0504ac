import type { Bounded } from "../../helpers/within.ts";
import { bounded, ROUNDING } from "./bounds.ts";

/** What {@link combineReference} sums. */
export interface CombineInput {
  readonly hidden: number;
  readonly topK: number;
  /** [tokens * topK, hidden] */
  readonly x: ArrayLike<number>;
  /** [tokens * topK] */
  readonly weights: ArrayLike<number>;
  /** [tokens, hidden] */
  readonly residual: ArrayLike<number>;
}

/** Residual plus weighted sum. */
export function combineReference({ hidden, topK, x, weights, residual }: CombineInput): Bounded {
  return bounded(
    Array.from(residual, (rest, index) => {
      const token = Math.floor(index / hidden);
      let value = rest;
      let magnitude = Math.abs(rest);
      for (let choice = 0; choice < topK; choice++) {
        const pair = token * topK + choice;
        const product = weights[pair]! * x[pair * hidden + (index % hidden)]!;
        value += product;
        magnitude += Math.abs(product);
      }
      return { value, bound: (topK + 1) * ROUNDING * magnitude };
    }),
  );
}

/** The same in f32, in the kernel's order: exact where each product is. */
export function combineInOrder({ hidden, topK, x, weights, residual }: CombineInput): Float32Array {
  return Float32Array.from(residual, (rest, index) => {
    const token = Math.floor(index / hidden);
    let sum = 0;
    for (let choice = 0; choice < topK; choice++) {
      const pair = token * topK + choice;
      sum = Math.fround(sum + weights[pair]! * x[pair * hidden + (index % hidden)]!);
    }
    return rest + sum;
  });
}
