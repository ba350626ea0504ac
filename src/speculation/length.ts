import type { DraftCosts } from "./costs.ts";

/** What a draft must promise beyond a token alone before it is computed: both estimates are rough. */
const MARGIN = 1.05;

/**
 * How many of at most `most` drafted tokens to compute, 0 for none: those that bring the most tokens for their time.
 *
 * @param probability that a drafted token is right if all before it are
 * @param known tokens that the pass has before the drafted ones
 */
export function draftLength(
  probability: number,
  most: number,
  costs: DraftCosts,
  known = 1,
): number {
  let best = { length: 0, speed: MARGIN };
  let expected = 1;
  for (let length = 1; length <= most; length++) {
    expected += probability ** length;
    const cost = costs.ofPass(known + length);
    if (cost === undefined) return 0;
    if (expected / cost > best.speed) best = { length, speed: expected / cost };
  }
  return best.length;
}
