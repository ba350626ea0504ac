/**
 * Which expert leaves what is full. One instance serves one pool of the GPU, or one tier below it with the experts of
 * all pools, and knows its experts by index.
 *
 * It sees every use, of absent experts too, and is never told what is resident: so its order depends on the requests
 * (and on what reloading costs) and not on the room that there is, and more slots never mean more misses. A load is no
 * use: what was loaded on a guess has no credit.
 */
export interface EvictionPolicy {
  /** One pass used `experts`: distinct, the most recent one last. */
  onUse(experts: readonly number[]): void;
  /** The one of `candidates` (ascending, not empty) that leaves. Changes nothing. */
  victim(candidates: readonly number[]): number;
}

/** What a policy is made with. */
export interface PolicyContext {
  /** Experts that it chooses among: indices from 0 on. */
  readonly experts: number;
  /**
   * Requests that one pass makes: 1 (default) of a pool of one layer; one for each MoE layer where all pools share a
   * policy. Whatever decays does so by passes.
   */
  readonly requestsPerPass?: number;
  /**
   * What it takes to bring an expert back once it has left, 0 or more, in any unit: asked when a victim is chosen, so
   * that it may change with the tier that holds the record. Default: the same for all.
   */
  readonly reloadCost?: (expert: number) => number;
}

/** Makes a policy; what the registry holds. */
export type CreatePolicy = (context: PolicyContext) => EvictionPolicy;

/** The candidate that leaves before all others by `compare` (negative: `a` leaves first), ties to the lowest index. */
export function firstToLeave(
  candidates: readonly number[],
  compare: (a: number, b: number) => number,
): number {
  let first = candidates[0]!;
  for (const expert of candidates) if (compare(expert, first) < 0) first = expert;
  return first;
}
