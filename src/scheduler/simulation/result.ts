import type { ExpertCache } from "../../experts/expert-cache.ts";
import type { LowerTiers, RecordPlace } from "../../experts/lower-tiers.ts";
import type { RoutingTrace, TracedPass } from "../../experts/trace.ts";
import type { PrefetchCounters, PrefetchGauge } from "../prefetch-gauge.ts";
import type { VirtualLoads } from "./virtual-loads.ts";
import type { VirtualPasses } from "./virtual-passes.ts";

/** What a simulated run came to; times in milliseconds of the virtual clock. */
export interface SimulationResult {
  /** Distinct experts of a layer and pass that were ready, and that were not. */
  readonly hits: number;
  readonly misses: number;
  /** Layers of a pass that waited for a load; one from RAM is no wait where an exact predictor named it early. */
  readonly faults: number;
  /** Layers without a cut that stopped the GPU because an expert was absent. */
  readonly stops: number;
  readonly readbacks: number;
  /** Experts that made room for a load. */
  readonly evictions: number;
  /** Loads, prefetches included, by the place that had the record. */
  readonly loads: Readonly<Record<RecordPlace, number>>;
  readonly bytesUploaded: number;
  readonly bytesFromDisk: number;
  readonly bytesFromNetwork: number;
  /** Held at the end. */
  readonly ramBytes: number;
  readonly diskBytes: number;
  readonly prefetch: PrefetchCounters;
  /** Time in which the GPU had nothing to do but wait for records. */
  readonly stallMs: number;
  readonly totalMs: number;
  /** Of passes with more than one token. */
  readonly prefillMs: number;
  /** Of passes with one token; 0 where there are none. */
  readonly tokensPerSecond: number;
  readonly tokenMs: {
    readonly mean: number;
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
  };
  /** The same for each MoE layer. */
  readonly layers: readonly {
    readonly layer: number;
    readonly hits: number;
    readonly misses: number;
  }[];
}

/** What a run leaves behind. */
interface Finished {
  readonly trace: RoutingTrace;
  readonly passes: readonly TracedPass[];
  /** When the result of each pass was known. */
  readonly ends: readonly number[];
  readonly cache: ExpertCache;
  readonly tiers: LowerTiers;
  readonly loads: VirtualLoads;
  readonly gauge: PrefetchGauge;
  readonly clock: VirtualPasses;
}

/** Adds a finished run up. */
export function summarise(finished: Finished): SimulationResult {
  const { trace, passes, ends, cache, tiers, loads, gauge, clock } = finished;
  const { hits, misses, evictions } = cache.counters;
  const { loadsFrom, bytesUploaded, bytesFromDisk, bytesFromNetwork } = loads.counters;
  const { faults, stops, readbacks, stallMs } = clock.counters;
  const passMs = ends.map((end, pass) => end - (ends[pass - 1] ?? 0));
  const tokenMs = passMs.filter((_, pass) => passes[pass]!.tokens.length === 1);
  const decodeMs = sum(tokenMs);
  const totalMs = ends.at(-1) ?? 0;
  return {
    hits,
    misses,
    faults,
    stops,
    readbacks,
    evictions,
    loads: loadsFrom,
    bytesUploaded,
    bytesFromDisk,
    bytesFromNetwork,
    ramBytes: tiers.bytes("ram"),
    diskBytes: tiers.bytes("disk"),
    prefetch: gauge.counters,
    stallMs,
    totalMs,
    prefillMs: totalMs - decodeMs,
    tokensPerSecond: decodeMs > 0 ? (1000 * tokenMs.length) / decodeMs : 0,
    tokenMs: percentiles(tokenMs),
    layers: trace.layers.map((layer, moe) => ({
      layer,
      hits: clock.counters.hits[moe]!,
      misses: clock.counters.misses[moe]!,
    })),
  };
}

/** Each the smallest value that at least that share of all does not exceed; 0 where there is no value. */
function percentiles(values: readonly number[]): SimulationResult["tokenMs"] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  const mean = values.length > 0 ? sum(values) / values.length : 0;
  return { mean, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
