import type { Bounded } from "../../helpers/within.ts";
import { bounded, dot, exact, type Run, sumOf, times, type Value } from "./bounds.ts";

/** `down x + bias` of one expert. down [hidden, ffn], x `ffn` numbers, bias [hidden] */
export function expertDownReference(
  down: ArrayLike<number>,
  x: Run,
  ffn: number,
  bias?: ArrayLike<number>,
): Bounded {
  return bounded(expertOutput(down, x, ffn, bias));
}

function expertOutput(
  down: ArrayLike<number>,
  x: Run,
  ffn: number,
  bias: ArrayLike<number> | undefined,
): readonly Value[] {
  return Array.from({ length: down.length / ffn }, (_, row) =>
    dot(ffn, { data: down, first: row * ffn }, x, bias?.[row]),
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

/** One of the networks that {@link expertSumReference} adds up. */
export interface SummedExpert {
  /** [hidden, ffn] */
  readonly down: ArrayLike<number>;
  readonly x: Run;
  readonly ffn: number;
  /** [hidden] */
  readonly bias?: ArrayLike<number> | undefined;
  /** What it counts: the product of these. */
  readonly weights: readonly number[];
}

/** `residual + Σ weight (down x + bias)` of one token. residual [hidden] */
export function expertSumReference(
  experts: readonly SummedExpert[],
  residual: ArrayLike<number>,
): Bounded {
  const outputs = experts.map(({ down, x, ffn, bias, weights }) =>
    expertOutput(down, x, ffn, bias).map((output) =>
      weights.reduce((sum, weight) => times(exact(weight), sum), output),
    ),
  );
  return bounded(
    Array.from(residual, (rest, row) =>
      sumOf([...outputs.map((output) => output[row]!), exact(rest)]),
    ),
  );
}
