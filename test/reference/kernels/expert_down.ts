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

/** `x down` of one expert whose down matrix is stored the other way. down [ffn, hidden], x `ffn` numbers */
export function expertDownColumnsReference(down: ArrayLike<number>, x: Run, ffn: number): Bounded {
  const hidden = down.length / ffn;
  const turned = Float64Array.from(
    { length: down.length },
    (_, index) => down[(index % ffn) * hidden + Math.floor(index / ffn)]!,
  );
  return expertDownReference(turned, x, ffn);
}
