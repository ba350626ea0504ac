import { Demand } from "./demand.ts";
import { type CacheCounters, ExpertCache } from "./expert-cache.ts";
import { belady } from "./policies/belady.ts";
import { type EvictionPolicyName, evictionPolicies } from "./policies/registry.ts";
import type { RoutingTrace } from "./trace.ts";

/** What to replay a trace against. */
export interface Simulation {
  /** Slots of each pool; at least 1. */
  readonly slotCounts: readonly number[];
  /** A policy of the registry, or `belady`: the bound that knows the future. */
  readonly policy: EvictionPolicyName | "belady";
  /** The pool of each MoE layer of the trace. Default: its own. */
  readonly pools?: readonly number[];
  /** Tokens of each pass, in order; the rest of the trace goes one token a pass. Default: all of it. */
  readonly passes?: readonly number[];
}

/** One layer of one pass: the experts that its pairs want, with repetitions. */
interface Request {
  readonly pool: number;
  readonly ids: readonly number[];
}

/**
 * Counts what an empty cache would have done on a trace: the counters of an `ExpertCache` that serves every pass at
 * once, by the rules of a fault.
 */
export function simulate(trace: RoutingTrace, simulation: Simulation): CacheCounters {
  const { slotCounts, policy } = simulation;
  const requests = requestsOf(trace, simulation);
  const cache = new ExpertCache({
    experts: trace.experts,
    slotCounts,
    createPolicy: (context, pool) =>
      policy === "belady"
        ? belady(requests.filter((request) => request.pool === pool).map(({ ids }) => ids))
        : evictionPolicies[policy](context),
  });
  for (const request of requests) serve(cache, request);
  return cache.counters;
}

function serve(cache: ExpertCache, { pool, ids }: Request): void {
  cache.use(pool, ids);
  const demand = new Demand(cache, pool, ids);
  for (let round = demand.next(); round; round = demand.next()) {
    for (const { expert } of round.loads) cache.commit(pool, expert);
    demand.dispatch();
  }
}

function requestsOf(trace: RoutingTrace, { passes = [], pools }: Simulation): Request[] {
  const { topK, layers, tokens } = trace;
  const requests: Request[] = [];
  let pass = 0;
  for (let start = 0; start < tokens.length; ) {
    const end = start + (passes[pass++] ?? 1);
    const positions = tokens.slice(start, end);
    layers.forEach((_, layer) => {
      const ids = positions.flatMap(({ experts }) =>
        experts.slice(layer * topK, (layer + 1) * topK),
      );
      requests.push({ pool: pools?.[layer] ?? layer, ids });
    });
    start = end;
  }
  return requests;
}
