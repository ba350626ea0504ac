import { SluiceError } from "../../errors.ts";
import type { ExpertCache } from "../../experts/expert-cache.ts";
import type { EvictionPolicyName } from "../../experts/policies/registry.ts";
import { type CacheFormatName, cacheFormats } from "../../formats/cache/registry.ts";
import type { GgufFile } from "../../gguf/gguf.ts";
import { type ModelSpec, ownMoe } from "../../models/model.ts";
import type { HostTensor, OnnxRuntime } from "../../onnx/runtime.ts";
import type { MeasuredCosts, VariantReport } from "../../rpc/api.ts";
import { type GpuNeeds, type ParsedBudget, planSlots } from "../../scheduler/budget.ts";
import type { PacingName } from "../../scheduler/pacing/registry.ts";
import { plannedChunk } from "../chunks.ts";
import { type ExecutorCounters, WorkCounters } from "../counters.ts";
import { allocateExperts, budgetBytesOf, type ExpertPlan, expertPlanOf } from "../expert-memory.ts";
import type { ExpertStore } from "../expert-store.ts";
import type { ModelOptions, RunningModel } from "../model.ts";
import type { PassResult } from "../pass.ts";
import { type PoolLayout, planPools } from "../pool-layout.ts";
import { Prefetch } from "../prefetch.ts";
import { expertsOf } from "../programs.ts";
import { Speculation } from "../speculation/speculation.ts";
import { byFamily } from "../tuning/choices.ts";
import { calibrateOnnx } from "./calibration.ts";
import { ColumnSlots, planColumns } from "./experts/columns.ts";
import { ExpertComputer, type ThreadOptions } from "./experts/computer.ts";
import { ExpertForms } from "./experts/forms.ts";
import { EXPANDED_BYTES, HostWeights } from "./host-weights.ts";
import { HostKvCache } from "./kv-rows.ts";
import {
  angleTables,
  checkRoom,
  compileSteps,
  recordProgram,
  statesOf,
  vectorsOf,
} from "./loading.ts";
import {
  type CompiledStep,
  type OnnxPassOptions,
  type OnnxPassParts,
  runOnnxPass,
} from "./onnx-pass.ts";

/** What {@link OnnxModel.load} needs beside the options of any model. */
export interface OnnxModelOptions extends ModelOptions {
  /** What weights, caches and slots may take in all where no budget is given. */
  readonly memoryLimitBytes: number;
  /** See `EngineHost`. */
  readonly expandedBytes: number | undefined;
  readonly threads: ThreadOptions;
}

/** A model that onnxruntime-web computes, ready to run passes. Owned by the engine, which calls `dispose`. */
export class OnnxModel implements RunningModel {
  readonly spec: ModelSpec;
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly contextTokens: number;
  readonly chunkTokens: number;
  readonly kvCache: CacheFormatName;
  readonly kvCacheBytes: number;
  readonly needs: GpuNeeds;
  readonly variants: VariantReport = byFamily(() => ({
    chosen: "none",
    source: "default",
    candidates: [],
    medianMs: {},
  }));
  readonly prefetch: Prefetch;
  readonly policy: EvictionPolicyName;
  readonly pacing: PacingName;
  readonly speculation = new Speculation(
    "off",
    false,
    "in WebAssembly a pass of several tokens gains too little over as many alone",
  );
  /** Whatever was asked for. */
  readonly accuracy = "exact";
  readonly choosing = undefined;
  readonly measuredCosts: MeasuredCosts;
  readonly #runtime: OnnxRuntime;
  readonly #pools: readonly PoolLayout[];
  readonly #slots: ColumnSlots;
  readonly #parts: OnnxPassParts;
  readonly #counters: WorkCounters;
  readonly #emptyStates: ReadonlyMap<string, HostTensor>;
  #budgetBytes: number;

  private constructor(loaded: {
    spec: ModelSpec;
    options: OnnxModelOptions;
    runtime: OnnxRuntime;
    pools: readonly PoolLayout[];
    needs: GpuNeeds;
    parts: OnnxPassParts;
    counters: WorkCounters;
    emptyStates: ReadonlyMap<string, HostTensor>;
    kvCacheBytes: number;
    costs: MeasuredCosts;
    budgetBytes: number;
  }) {
    const { spec, options, parts, needs, costs, counters } = loaded;
    this.spec = spec;
    this.cache = parts.cache;
    this.store = parts.store;
    this.contextTokens = options.contextTokens;
    this.chunkTokens = plannedChunk(spec);
    this.kvCache = options.kvCache;
    this.kvCacheBytes = loaded.kvCacheBytes;
    this.needs = needs;
    this.policy = options.policy;
    this.pacing = options.pacing;
    this.measuredCosts = costs;
    this.prefetch = new Prefetch(options.predictor, {
      moe: ownMoe(spec),
      cache: parts.cache,
      store: parts.store,
      recordBytes: needs.recordBytes,
      costs: { faultMs: 0, msPerByte: costs.uploadMsPerByte },
      exactLoads: () => counters.values.exactLoads,
    });
    this.#runtime = loaded.runtime;
    this.#pools = loaded.pools;
    this.#slots = parts.slots;
    this.#parts = parts;
    this.#counters = counters;
    this.#emptyStates = loaded.emptyStates;
    this.#budgetBytes = loaded.budgetBytes;
  }

  /**
   * Loads what every token needs, records the forward pass and makes its graphs ready.
   * Throws "budget-too-small", "unsupported-format", "bad-file", "truncated-file", "out-of-memory", "gpu-error",
   * "aborted" and what the source throws; nothing stays then.
   */
  static async load(
    runtime: OnnxRuntime,
    file: GgufFile,
    spec: ModelSpec,
    options: OnnxModelOptions,
  ): Promise<OnnxModel> {
    const pools = planPools(file, spec.moe);
    const weights = new HostWeights(options.expandedBytes ?? EXPANDED_BYTES);
    const compiled: CompiledStep[] = [];
    // Threads start while weights are read.
    const opening = openComputer(runtime, spec, options.threads);
    try {
      await weights.load(file, spec.resident, options.onBytes, options.signal);
      options.onRecording();
      const program = recordProgram(spec, weights, options);
      const steps = await compileSteps(runtime, program, weights, compiled);
      const layouts = pools.map((pool, index) =>
        planColumns(pool, spec.moe.find((moe) => moe.pool === index)!),
      );
      const computer = await opening;
      const ofModel = new ExpertForms(computer);
      const forms = await Promise.all(spec.moe.map((moe) => ofModel.of(layouts[moe.pool]!, moe)));
      const { contextTokens } = options;
      const size = { contextTokens, chunkTokens: plannedChunk(spec) };
      const format = cacheFormats[options.kvCache];
      const kvCaches = new Map(
        spec.attention.map((each) => [each.layer, new HostKvCache(each, format, size)]),
      );
      const kvCacheBytes = [...kvCaches.values()].reduce((sum, { bytes }) => sum + bytes, 0);
      const emptyStates = statesOf(spec);
      const heldBytes = compiled.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
      const needs = {
        residentBytes: heldBytes + weights.bytes + kvCacheBytes,
        recordBytes: layouts.map(({ slotBytes }) => slotBytes),
        experts: expertsOf(spec),
        topK: Math.max(0, ...spec.moe.map(({ topK }) => topK)),
      };
      const allocate = (cache: ExpertCache) => {
        checkRoom(needs, cache, options);
        return new ColumnSlots(layouts, cache, computer);
      };
      const memory = await allocateExperts({ file, pools, needs, allocate }, options);
      const { cache, store, slots, plan } = memory;
      const counters = new WorkCounters();
      const parts: OnnxPassParts = {
        spec,
        steps,
        logits: program.logits,
        weights,
        kvCaches,
        states: new Map(emptyStates),
        angles: angleTables(weights, contextTokens),
        computer,
        forms,
        vectors: spec.moe.map((moe) => vectorsOf(moe, weights)),
        cache,
        store,
        slots,
        count: (what, amount) => counters.add(what, amount),
      };
      return new OnnxModel({
        spec,
        options,
        runtime,
        pools,
        needs,
        parts,
        counters,
        emptyStates,
        kvCacheBytes,
        costs: await calibrateOnnx(parts, pools),
        budgetBytes: budgetBytesOf(options.budget, plan.gpuBytes),
      });
    } catch (error) {
      for (const step of compiled) await step.compiled.dispose();
      await (await opening).dispose();
      throw error;
    }
  }

  async pass(
    tokens: readonly number[],
    position: number,
    options: Pick<OnnxPassOptions, "logits" | "following" | "signal">,
  ): Promise<PassResult> {
    const { prefetch } = this;
    const isSingle = tokens.length === 1 && options.following === undefined;
    this.#counters.add("passes", 1);
    this.#counters.add("inFlight", 1);
    if (position === 0) {
      for (const [key, state] of this.#emptyStates) this.#parts.states.set(key, state);
    }
    if (isSingle) prefetch.beforePass(tokens[0]!);
    const result = await runOnnxPass(this.#parts, tokens, position, {
      ...options,
      ahead: prefetch.exact,
      ...(isSingle && {
        onAsked: (moe: number, ids: Uint32Array) => prefetch.asked(moe, ids),
        onChosen: (moe: number, ids: readonly Uint32Array[], guess?: Uint32Array) =>
          prefetch.onChosen(moe, ids, guess),
      }),
    });
    prefetch.observe(tokens, result.ids);
    return result;
  }

  /** Nothing is in flight between passes. */
  async land(): Promise<void> {}

  get threads(): number {
    return this.#parts.computer.threads;
  }

  get adapter(): string {
    const { threads } = this;
    const count = threads === 1 ? "1 thread" : `${threads} threads`;
    return `onnxruntime-web ${this.#runtime.version} (WebAssembly, ${count})`;
  }

  get memoryBytes(): number {
    return this.needs.residentBytes + this.#slots.bytes;
  }

  get counters(): ExecutorCounters {
    return this.#counters.values;
  }

  /** Graphs in the place of dispatches. */
  get dispatchesPerLayer(): number {
    const graphs = this.#parts.steps.filter(({ kind }) => kind === "graph" || kind === "experts");
    return graphs.length / this.spec.layers;
  }

  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  get expertPlan(): ExpertPlan {
    return expertPlanOf(this.#pools, this.needs.experts, (pool) => this.cache.slotCount(pool));
  }

  async setBudget(budget: ParsedBudget): Promise<void> {
    const { slotCounts, gpuBytes } = planSlots({ ...this.needs, budget });
    await this.store.resize(slotCounts);
    this.#budgetBytes = budgetBytesOf(budget, gpuBytes);
  }

  async profile(): Promise<never> {
    throw new SluiceError(
      "missing-feature",
      'Kernels can be timed on WebGPU alone; this model runs in WebAssembly. Load it with runtime: "webgpu".',
    );
  }

  dispose(): void {
    this.store.dispose();
    void this.#parts.computer.dispose();
    for (const step of this.#parts.steps) {
      if (step.kind === "graph") void step.compiled.dispose();
    }
  }
}

/** Opens what computes the model's experts; a model without any needs one thread. */
function openComputer(
  runtime: OnnxRuntime,
  spec: ModelSpec,
  options: ThreadOptions,
): Promise<ExpertComputer> {
  const { moe } = spec;
  const tokens = plannedChunk(spec);
  const most = {
    tokens,
    pairs: tokens * Math.max(0, ...moe.map(({ topK }) => topK)),
    hidden: Math.max(0, ...moe.map(({ hidden }) => hidden)),
  };
  const threads = moe.length === 0 ? 1 : options.threads;
  return ExpertComputer.open(runtime, most, { ...options, threads });
}
