/**
 * Which expert leaves a full pool. One instance serves one pool and knows its experts by index.
 *
 * It sees every use, of absent experts too, and is never told what is resident: so its order depends on the requests
 * alone and not on the number of slots, and more slots never mean more misses. A load is no use: what was loaded on a
 * guess has no credit.
 */
export interface EvictionPolicy {
  /** One pass used `experts`: distinct, the most recent one last. */
  onUse(experts: readonly number[]): void;
  /** The one of `candidates` (ascending, not empty) that leaves. Changes nothing. */
  victim(candidates: readonly number[]): number;
}
