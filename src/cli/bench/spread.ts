/** What several measurements of one thing came to. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly samples: number;
}

/** The spread of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least === undefined || most === undefined) throw new Error("unreachable: nothing measured");
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, least, most, samples: sorted.length };
}
