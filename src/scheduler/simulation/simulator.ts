import { SluiceError } from "../../errors.ts";
import { ExpertCache } from "../../experts/expert-cache.ts";
import { LowerTiers, type RecordId, type RecordPlace } from "../../experts/lower-tiers.ts";
import { belady } from "../../experts/policies/belady.ts";
import type { CreatePolicy } from "../../experts/policies/policy.ts";
import {
  DEFAULT_EVICTION_POLICY,
  type EvictionPolicyName,
  evictionPolicies,
} from "../../experts/policies/registry.ts";
import type { Predictor } from "../../experts/predictors/predictor.ts";
import { type PredictorName, predictorFor, predictors } from "../../experts/predictors/registry.ts";
import { passesOf, poolsOf, type RoutingTrace, type TracedPass } from "../../experts/trace.ts";
import { nextFill } from "../fill.ts";
import { FaultEstimate } from "../pacing/fault-estimate.ts";
import { DEFAULT_PACING, type PacingName, pacingRules } from "../pacing/registry.ts";
import { PrefetchGauge } from "../prefetch-gauge.ts";
import { type CostModel, DEFAULT_COSTS } from "./cost-model.ts";
import { type SimulationResult, summarise } from "./result.ts";
import { hasRoom, keepBelow, VirtualLoads } from "./virtual-loads.ts";
import { type Lead, VirtualPasses } from "./virtual-passes.ts";

/** What to replay a trace against. */
export interface Simulation {
  /** Slots of each pool; at least `topK`. */
  readonly slotCounts: readonly number[];
  /** A policy of the registry, or `belady`: the bound that knows the future. The tiers below have the default then. */
  readonly policy: EvictionPolicyName | "belady";
  /** Default "none". */
  readonly predictor?: PredictorName | "none";
  /** Default {@link DEFAULT_PACING}. */
  readonly pacing?: PacingName;
  /** Bytes of a record, for each pool. Default: the trace's; if it has none, 0, and only fixed times count. */
  readonly recordBytes?: readonly number[];
  /** Default: no limit. */
  readonly ramBudgetBytes?: number;
  readonly diskBudgetBytes?: number;
  /** Whether the disk holds as much as fits at the start, as on a second visit. Default: it is empty. */
  readonly diskFilled?: boolean;
  /** Default {@link DEFAULT_COSTS}. */
  readonly costs?: CostModel;
}

/**
 * Replays a trace on a virtual clock. It drives the engine's own cache, tiers, guessers and rules in the engine's own
 * order, so that hits and misses are the engine's where no load's arrival decides them: always without prefetch.
 * Throws "budget-too-small" when a layer has fewer slots than a token uses, "bad-input" for a predictor that cannot
 * serve the trace.
 */
export function simulate(trace: RoutingTrace, simulation: Simulation): SimulationResult {
  const { costs = DEFAULT_COSTS, predictor: name = "none" } = simulation;
  const pools = poolsOf(trace);
  const passes = [...passesOf(trace)];
  const predictor = name === "none" ? undefined : usable(name, trace);
  const { cache, tiers, recordBytes } = createTiers(trace, simulation, passes);
  if (simulation.diskFilled) fillDisk(tiers, cache, recordBytes);
  if (trace.filled) fillAll(cache, tiers, recordBytes);

  const loads = new VirtualLoads({ cache, tiers, recordBytes, costs });
  const gauge = new PrefetchGauge({
    cache,
    pools,
    recordBytes,
    exact: predictor?.kind !== "guess",
  });
  const clock = new VirtualPasses({
    cache,
    tiers,
    loads,
    gauge,
    pools,
    costs,
    topK: trace.topK,
    estimate: new FaultEstimate(pools.length),
    pacing: pacingRules[simulation.pacing ?? DEFAULT_PACING],
    lead: leadOf(predictor),
    firstSeesToken: leadOf(predictor) === "attention" && trace.layers[0] === 0,
    guesser:
      predictor?.kind === "guess"
        ? predictor.create({ pools, experts: trace.experts, topK: trace.topK })
        : undefined,
  });

  const ends: number[] = [];
  for (const pass of passes) ends.push(clock.run(pass, ends.at(-1) ?? 0));
  return summarise({ trace, passes, ends, cache, tiers, loads, gauge, clock });
}

/** Throws "bad-input" for an exact predictor of other routers, and for one that needs what no trace holds. */
function usable(name: PredictorName, { routerInput }: RoutingTrace): Predictor {
  const predictor = routerInput ? predictorFor(name, routerInput) : predictors[name];
  if (predictor.kind === "guess" && predictor.needsGpuGuesses) {
    throw new SluiceError(
      "bad-input",
      `The predictor "${name}" reads routers on the GPU and a trace does not hold what they said: ` +
        "measure it with generate --predictor, or simulate another one.",
    );
  }
  return predictor;
}

function leadOf(predictor: Predictor | undefined): Lead {
  if (predictor?.kind !== "exact") return "none";
  switch (predictor.routerInput) {
    case "pre-attention":
      return "attention";
    case "previous-layer":
      return "layer";
    case "decoupled":
      return "pass";
    case "token":
      return "token";
    default:
      return predictor.routerInput satisfies never;
  }
}

function createTiers(trace: RoutingTrace, simulation: Simulation, passes: readonly TracedPass[]) {
  const { experts, layers } = trace;
  const { slotCounts, policy, costs = DEFAULT_COSTS } = simulation;
  const pools = poolsOf(trace);
  const recordBytes = simulation.recordBytes ?? trace.recordBytes ?? slotCounts.map(() => 0);
  const gpuPolicy: CreatePolicy | undefined =
    policy === "belady" ? undefined : evictionPolicies[policy];
  const cache: ExpertCache = new ExpertCache({
    experts,
    slotCounts,
    createPolicy: (context, pool) =>
      gpuPolicy ? gpuPolicy(context) : belady(requestsOf(pool, pools, passes)),
    reloadCost: (pool, expert) => tiers.reloadCost(pool, expert),
  });
  const tiers: LowerTiers = new LowerTiers({
    experts,
    recordBytes,
    ramBudgetBytes: simulation.ramBudgetBytes ?? Infinity,
    diskBudgetBytes: simulation.diskBudgetBytes ?? Infinity,
    policy: policy === "belady" ? DEFAULT_EVICTION_POLICY : policy,
    onGpu: (pool, expert) => cache.state(pool, expert) !== "absent",
    requestsPerPass: layers.length,
    reloadMsPerByte: reloadMsPerByte(costs),
  });
  return { cache, tiers, recordBytes };
}

function reloadMsPerByte(costs: CostModel): Record<RecordPlace, number> {
  const ram = costs.uploadMsPerByte + costs.ramMsPerByte;
  return { ram, disk: ram + costs.diskMsPerByte, source: ram + costs.networkMsPerByte };
}

/** What each pass asks of a pool, layer by layer: what Belady's rule must know. */
function requestsOf(
  pool: number,
  pools: readonly number[],
  passes: readonly TracedPass[],
): Uint32Array[] {
  return passes.flatMap(({ ids }) => ids.filter((_, moe) => pools[moe] === pool));
}

/** As `Filler` does when it has time: slots first, then what there is room for below. */
function fillAll(cache: ExpertCache, tiers: LowerTiers, recordBytes: readonly number[]): void {
  for (let next = nextFill(cache); next; next = nextFill(cache)) {
    cache.beginLoad(next.pool, next.expert);
    keep(tiers, next, recordBytes);
    cache.commit(next.pool, next.expert);
  }
  recordBytes.forEach((bytes, pool) => {
    for (let expert = 0; expert < cache.experts; expert++) {
      const place = tiers.locate(pool, expert);
      // What is on the GPU and on disk is not wanted in RAM as well.
      const atHand = place === "disk" && cache.state(pool, expert) !== "absent";
      const fitsRam = place !== "ram" && !atHand && hasRoom(tiers, "ram", bytes);
      const fitsDisk = place === "source" && hasRoom(tiers, "disk", bytes);
      if (fitsRam || fitsDisk) keep(tiers, { pool, expert }, recordBytes);
    }
  });
}

function keep(tiers: LowerTiers, { pool, expert }: RecordId, recordBytes: readonly number[]) {
  const place = tiers.locate(pool, expert);
  keepBelow(tiers, { priority: "fill", place, pool, expert }, recordBytes[pool]!);
}

/** A second visit: the disk holds what fits of all pools in order. */
function fillDisk(tiers: LowerTiers, cache: ExpertCache, recordBytes: readonly number[]): void {
  recordBytes.forEach((bytes, pool) => {
    for (let expert = 0; expert < cache.experts; expert++) {
      if (hasRoom(tiers, "disk", bytes)) tiers.admit("disk", pool, expert);
    }
  });
}
