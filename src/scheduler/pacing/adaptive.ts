import type { PacingContext, PacingCosts, PacingRule } from "./pacing.ts";
import { tokensInFlight } from "./tokens-in-flight.ts";

/**
 * What a fault is taken to cost, in what it is expected to. Its probability is an estimate from few passes, its load has
 * nothing to hide behind, and tokens that take unlike times read worse: at equal sums a cut is better.
 */
export const FAULT_AVERSION = 1.5;

/**
 * Cuts where a fault is expected to cost more than the cut does; of all sets of cuts, one with the least expected cost.
 *
 * A cut at layer `m` costs, miss or not, the part of a readback that no work hides:
 *
 *     cut = max(0, readback - overlap)
 *
 * Without one, layer `m` faults with probability `p[m]`. The GPU then runs the steps of the layers up to the next cut
 * `n` (or the end of the pass, `n = layers`) only to return from each at once, and a whole readback passes before the
 * loads begin:
 *
 *     fault(m) = FAULT_AVERSION * p[m] * (readback + skipped * (n - m))
 *
 * The loads themselves are nearly the same on both sides and drop out. Since a fault costs less the nearer the next cut, cuts
 * are not independent: the least sum is found from the last layer back, for each place of the next cut, in
 * `layers²` steps. Of equal sums the one with fewer cuts wins.
 */
export const adaptive: PacingRule = { cuts: leastCost, tokensInFlight };

/** The best that can be done with the layers from one on, given that it is a cut. */
interface Tail {
  readonly cost: number;
  readonly cuts: readonly number[];
}

function leastCost({ faultProbability, costs }: PacingContext): readonly number[] {
  const layers = faultProbability.length;
  const cut = Math.max(0, costs.readback - costs.overlap);
  const tails: Tail[] = []; // by the layer of the first cut; [layers] is the end of the pass
  tails[layers] = { cost: 0, cuts: [] };
  for (let first = layers - 1; first >= 0; first--) {
    const rest = bestAfter(first, faultProbability, costs, tails);
    tails[first] = { cost: cut + rest.cost, cuts: [first, ...rest.cuts] };
  }
  return bestAfter(-1, faultProbability, costs, tails).cuts; // the begin of a pass is a boundary as cuts are
}

/** The least cost of the layers after a boundary, over all places of the next one. */
function bestAfter(
  boundary: number,
  faultProbability: ArrayLike<number>,
  { readback, skipped }: PacingCosts,
  tails: readonly Tail[],
): Tail {
  let best: Tail = { cost: Infinity, cuts: [] };
  let faults = 0; // expected cost of faults in the layers between `boundary` and `next`
  let expected = 0; // expected number of those faults
  for (let next = boundary + 1; next < tails.length; next++) {
    const tail = tails[next]!;
    const cost = faults + tail.cost;
    if (cost < best.cost || (cost === best.cost && tail.cuts.length < best.cuts.length)) {
      best = { cost, cuts: tail.cuts };
    }
    const probability = FAULT_AVERSION * (faultProbability[next] ?? 0);
    expected += probability;
    faults += probability * readback + expected * skipped;
  }
  return best;
}
