import { ExpertCache, type Load } from "../../../src/experts/expert-cache.ts";
import { ABSENT } from "../../../src/experts/page-table.ts";
import type { CreatePolicy } from "../../../src/experts/policies/policy.ts";
import { evictionPolicies } from "../../../src/experts/policies/registry.ts";
import type { RoutingTrace } from "../../../src/experts/trace.ts";

/** Every policy of the registry, for `describe.for`. */
export const everyPolicy = Object.entries(evictionPolicies).map(([name, create]) => ({
  name: name as keyof typeof evictionPolicies,
  create,
}));

/** A cache of pools with `slotCounts` slots. */
export function cacheOf(
  experts: number,
  slotCounts: readonly number[],
  create: CreatePolicy = evictionPolicies.lru,
): ExpertCache {
  return new ExpertCache({ experts, slotCounts, createPolicy: create });
}

/** Begins and commits loads of `experts` into `pool`. */
export function load(cache: ExpertCache, pool: number, experts: readonly number[]): Load[] {
  return experts.map((expert) => {
    const begun = cache.beginLoad(pool, expert);
    if (!begun) throw new Error(`no room for expert ${expert}`);
    cache.commit(pool, expert);
    return begun;
  });
}

/** Serves one pass that fits: records its use and loads what is missing, evicting nothing that it uses. */
export function serve(cache: ExpertCache, pool: number, experts: readonly number[]): Load[] {
  cache.use(pool, experts);
  for (const expert of experts) cache.pin(pool, expert);
  const missing = experts.filter((expert) => cache.state(pool, expert) === "absent");
  const loads = load(cache, pool, missing);
  for (const expert of experts) cache.release(pool, expert);
  return loads;
}

/** All that can be asked of a cache, to see that a call changed nothing. */
export function observe(cache: ExpertCache) {
  const pools = Array.from({ length: cache.pools }, (_, pool) => ({
    slots: cache.slotCount(pool),
    empty: cache.emptySlots(pool),
    loading: cache.loading(pool),
    ready: cache.ready(pool),
    experts: Array.from({ length: cache.experts }, (_, expert) => ({
      state: cache.state(pool, expert),
      slot: cache.slotOf(pool, expert),
      entry: cache.pageTable.slot(pool, expert),
      pins: cache.pins(pool, expert),
      uses: cache.uses(pool, expert),
    })),
  }));
  return { pools, counters: cache.counters };
}

/** Throws if two experts share a slot, a slot is out of range, or the page table holds anything but the ready ones. */
export function checkInvariants(cache: ExpertCache): void {
  for (let pool = 0; pool < cache.pools; pool++) {
    const slots: number[] = [];
    for (let expert = 0; expert < cache.experts; expert++) {
      const entry = cache.pageTable.slot(pool, expert);
      const slot = cache.slotOf(pool, expert);
      if (entry !== (slot ?? ABSENT)) throw new Error(`page table: ${pool}/${expert} is ${entry}`);
      if ((cache.state(pool, expert) === "ready") !== (slot !== undefined)) {
        throw new Error(`${pool}/${expert} is ${cache.state(pool, expert)} in slot ${slot}`);
      }
      if (slot !== undefined) slots.push(slot);
    }
    if (new Set(slots).size !== slots.length)
      throw new Error(`a slot of pool ${pool} is taken twice`);
    if (slots.some((slot) => slot < 0 || slot >= cache.slotCount(pool))) {
      throw new Error(`a slot of pool ${pool} does not exist`);
    }
    const taken = slots.length + cache.loading(pool).length;
    if (taken + cache.emptySlots(pool) !== cache.slotCount(pool)) {
      throw new Error(`pool ${pool}: ${taken} taken and ${cache.emptySlots(pool)} empty slots`);
    }
  }
}

/** A trace of one token a row, written as its experts in every layer. */
export function traceOf(experts: number, rows: readonly (readonly number[][])[]): RoutingTrace {
  const layers = rows[0]?.map((_, layer) => layer) ?? [];
  const topK = rows[0]?.[0]?.length ?? 0;
  return {
    topK,
    experts,
    layers,
    tokens: rows.map((layersOfToken, token) => ({ token, experts: layersOfToken.flat() })),
  };
}

/** The trace in passes of `sizes` tokens, as many as it has tokens for; the rest one by one. */
export function inPasses(trace: RoutingTrace, sizes: readonly number[]): RoutingTrace {
  const passes: number[] = [];
  for (let left = trace.tokens.length; left > 0; left -= passes.at(-1)!) {
    passes.push(Math.min(left, sizes[passes.length] ?? 1));
  }
  return { ...trace, passes };
}
