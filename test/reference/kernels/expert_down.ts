import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, type Run } from "./bounds.ts";

/** `down x + bias` of one expert. down [hidden, ffn], x `ffn` numbers, bias [hidden] */
export function expertDownReference(
  down: ArrayLike<number>,
  x: Run,
  ffn: number,
  bias?: ArrayLike<number>,
): Bounded {
  return bounded(
    Array.from({ length: down.length / ffn }, (_, row) =>
      dot(ffn, { data: down, first: row * ffn }, x, bias?.[row]),
    ),
  );
}
