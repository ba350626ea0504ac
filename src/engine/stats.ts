import type { EngineStats, PassCounts, RuntimeReport, VariantReport } from "../rpc/api.ts";
import type { GpuModel } from "./gpu-model.ts";
import type { History } from "./history.ts";
import type { RunningModel } from "./model.ts";
import type { CountedSource } from "./source.ts";
import type { SpeculationChoice } from "./speculation/speculation.ts";
import { byFamily } from "./tuning/choices.ts";

/** What is metered; see the engine's session. */
export interface Metered {
  readonly model: RunningModel;
  readonly runtime: RuntimeReport;
  readonly history: History;
  readonly source: Pick<CountedSource, "kind" | "received" | "fromDisk">;
}

/** Counters at one moment; differences of two are what was done in between. */
function snapshot({ model, source }: Metered) {
  return {
    atMs: performance.now(),
    executor: model.counters,
    cache: model.cache.counters,
    received: source.received,
    fromDisk: source.fromDisk,
    uploaded: model.store.counters.bytesUploaded,
    records: model.store.records.counters,
    prefetch: model.prefetch.stats,
    speculation: model.speculation.counters,
  };
}

/** Measures one reply: what it took from its start, and from its first token on. */
export class ReplyMeter {
  readonly #metered: Metered;
  readonly #promptTokens: number;
  readonly #start: ReturnType<typeof snapshot>;
  #prefilled: ReturnType<typeof snapshot> | undefined;
  #end: ReturnType<typeof snapshot> | undefined;
  #tokens = 0;
  #speculates: SpeculationChoice = { drafter: "off", reason: "no reply has begun" };

  constructor(metered: Metered, promptTokens: number) {
    this.#metered = metered;
    this.#promptTokens = promptTokens;
    this.#start = snapshot(metered);
  }

  /** The prompt has been computed: the first token is known. */
  prefilled(): void {
    this.#prefilled = snapshot(this.#metered);
  }

  /** How the reply's tokens are drafted. */
  speculates(choice: SpeculationChoice): void {
    this.#speculates = choice;
  }

  /** A token has been given out. */
  token(): void {
    this.#tokens++;
  }

  /** The reply is over; what the engine does from now on is not its work. */
  end(): void {
    this.#end ??= snapshot(this.#metered);
  }

  stats(): EngineStats {
    const { model, runtime, history, source } = this.#metered;
    const { tiers } = model.store.records;
    const start = this.#start;
    const now = this.#end ?? snapshot(this.#metered);
    const first = this.#prefilled ?? now;
    const decodeMs = now.atMs - first.atMs;
    // The prompt's last pass gives the first token; each one after it takes a pass of its own.
    const decoded = Math.max(0, this.#tokens - 1);
    // Those, and what was submitted behind the last of them.
    const passes = now.executor.passes - first.executor.passes;
    const each = (key: keyof PassCounts | "inFlight") =>
      passes === 0 ? 0 : (now.executor[key] - first.executor[key]) / passes;
    const ofPrompt = (key: keyof PassCounts) => first.executor[key] - start.executor[key];
    const received = now.received - start.received;
    return {
      adapter: model.adapter,
      runtime: { ...runtime, ...(model.threads !== undefined && { threads: model.threads }) },
      variants: chosenVariants(model.variants),
      accuracy: model.accuracy,
      promptTokens: this.#promptTokens,
      tokens: this.#tokens,
      prefillMs: first.atMs - start.atMs,
      decodeMs,
      tokensPerSecond: decoded === 0 ? 0 : (1000 * decoded) / decodeMs,
      firstTokenMs: this.#prefilled ? first.atMs - start.atMs : 0,
      dispatchesPerToken: each("dispatches"),
      dispatchesPerLayer: model.dispatchesPerLayer,
      submitsPerToken: each("submits"),
      readbacksPerToken: each("readbacks"),
      tokensInFlight: each("inFlight"),
      bytesWrittenPerToken: each("bytesWritten"),
      prefill: {
        dispatches: ofPrompt("dispatches"),
        submits: ofPrompt("submits"),
        readbacks: ofPrompt("readbacks"),
        bytesWritten: ofPrompt("bytesWritten"),
      },
      expertHits: now.cache.hits - start.cache.hits,
      expertMisses: now.cache.misses - start.cache.misses,
      faults: now.executor.faults - start.executor.faults,
      stallMs: now.executor.stallMs - start.executor.stallMs,
      prefetchIssued: now.prefetch.issued - start.prefetch.issued,
      prefetchUsed: now.prefetch.used - start.prefetch.used,
      prefetchLate: now.prefetch.late - start.prefetch.late,
      prefetchWastedBytes: now.prefetch.wastedBytes - start.prefetch.wastedBytes,
      prefetchRecall: now.prefetch.recall,
      policy: model.policy,
      predictor: now.prefetch.predictor,
      pacing: model.pacing,
      speculation: {
        drafter: this.#speculates.drafter,
        ...(this.#speculates.drafter === "off" && { reason: this.#speculates.reason }),
        drafted: now.speculation.drafted - start.speculation.drafted,
        accepted: now.speculation.accepted - start.speculation.accepted,
        passes: now.speculation.passes - start.speculation.passes,
      },
      loadsFromRam: now.records.fromRam - start.records.fromRam,
      loadsFromDisk: now.records.fromDisk - start.records.fromDisk,
      loadsFromSource: now.records.fromSource - start.records.fromSource,
      bytesFromNetwork: source.kind === "network" ? received : 0,
      bytesFromDisk:
        now.records.diskBytesRead -
        start.records.diskBytesRead +
        (source.kind === "disk" ? received : 0),
      ramBytes: tiers.bytes("ram"),
      ramBudgetBytes: tiers.budgetBytes("ram"),
      diskBytes: tiers.bytes("disk"),
      diskBudgetBytes: tiers.budgetBytes("disk"),
      costs: model.measuredCosts,
      bytesUploaded: now.uploaded - start.uploaded,
      bytesBeforeFirstToken: first.received,
      gpuBytes: model.memoryBytes,
      gpuBudgetBytes: model.budgetBytes,
      residentExperts: model.cache.readyCount,
      totalExperts: model.cache.pools * model.cache.experts,
      contextUsed: history.length,
    };
  }
}

/** What runs of each family, by name. */
export function chosenVariants(report: VariantReport): EngineStats["variants"] {
  return byFamily((family) => report[family].chosen);
}

/** What was measured, as the simulator takes it. */
export function measuredCosts({
  costs,
  spec,
  steps,
}: Pick<GpuModel, "costs" | "spec" | "steps">): EngineStats["costs"] {
  const { readback, overlap, pass, withoutExperts, skipped, uploadPerByte } = costs;
  const layers = Math.max(1, spec.moe.length);
  const passMs = (withoutExperts * (steps.all - steps.ofLayers)) / steps.all;
  return {
    layerMs: (pass - passMs) / layers,
    expertMs: (pass - withoutExperts) / layers,
    skippedLayerMs: skipped / layers,
    passMs,
    readbackMs: readback,
    overlapMs: overlap,
    uploadMs: 0,
    uploadMsPerByte: uploadPerByte,
    ramMsPerByte: 0,
  };
}
