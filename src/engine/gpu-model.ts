import type { ExpertCache } from "../experts/expert-cache.ts";
import type { EvictionPolicyName } from "../experts/policies/registry.ts";
import { type CacheFormatName, cacheFormats } from "../formats/cache/registry.ts";
import type { Accuracy } from "../formats/input/registry.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import { type ModelSpec, ownMoe } from "../models/model.ts";
import type { GpuResources } from "../ops/gpu-resources.ts";
import type { EngineProfile, ProfileOptions, VariantReport } from "../rpc/api.ts";
import { type GpuNeeds, type ParsedBudget, planSlots } from "../scheduler/budget.ts";
import type { PrefetchCosts } from "../scheduler/prefetch-gauge.ts";
import { type PassCosts, passCosts } from "./calibration.ts";
import { plannedChunk, usedChunk } from "./chunks.ts";
import type { ExecutorCounters } from "./counters.ts";
import { Executor } from "./executor.ts";
import { Arenas } from "./expert-arenas.ts";
import {
  allocateExperts,
  budgetBytesOf,
  type ExpertMemory,
  type ExpertPlan,
  expertPlanOf,
} from "./expert-memory.ts";
import type { ExpertStore } from "./expert-store.ts";
import { allocateFixed } from "./fixed-resources.ts";
import { Flight, type FlightStart } from "./flight.ts";
import { kvCacheBytes } from "./kv-cache.ts";
import type { ChoosingModel, ModelOptions, RunningModel } from "./model.ts";
import { Pacer } from "./pacer.ts";
import { type PassOptions, type PassResult, runPass } from "./pass.ts";
import { type PoolLayout, planPools } from "./pool-layout.ts";
import { Prefetch } from "./prefetch.ts";
import { profileModel } from "./profile.ts";
import { disposePrograms, type Programs, planNeeds, recordPrograms } from "./programs.ts";
import type { VerifiedPass } from "./speculation/drafting.ts";
import { Speculation } from "./speculation/speculation.ts";
import { type Snapshot, StateSnapshots } from "./state-snapshots.ts";
import { chosenVariants, measuredCosts } from "./stats.ts";
import { TokenChoices } from "./token-choices.ts";
import { modelShape } from "./tuning/key.ts";
import type { VariantPlan } from "./tuning/plan.ts";
import { tunePrograms } from "./tuning/tuner.ts";
import { ResidentWeights } from "./weights.ts";

/** How a model is put on the GPU. */
export interface GpuModelOptions extends ModelOptions {
  readonly variants: VariantPlan;
}

/** A model on the GPU, ready to run passes. Owned by the engine, which calls `dispose`. */
export class GpuModel implements RunningModel, ChoosingModel {
  readonly spec: ModelSpec;
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly contextTokens: number;
  /** Tokens of a prompt that a pass computes, at most. */
  readonly chunkTokens: number;
  readonly kvCache: CacheFormatName;
  readonly accuracy: Accuracy;
  readonly needs: GpuNeeds;
  readonly executor: Executor;
  readonly variants: VariantReport;
  readonly pacer: Pacer;
  readonly prefetch: Prefetch;
  readonly policy: EvictionPolicyName;
  /** Measured when the device first ran such passes. */
  readonly costs: PassCosts;
  /** How replies may be drafted. */
  readonly speculation: Speculation;
  readonly #snapshots: StateSnapshots;
  #flight: Flight | undefined;
  readonly #tokenChoices: TokenChoices;
  readonly #pools: readonly PoolLayout[];
  readonly #context: GpuContext;
  readonly #weights: ResidentWeights;
  readonly #resources: GpuResources;
  readonly #owned: readonly GPUBuffer[];
  #programs: Programs;
  #budgetBytes: number;

  private constructor(parts: {
    spec: ModelSpec;
    memory: ExpertMemory<Arenas>;
    pools: readonly PoolLayout[];
    needs: GpuNeeds;
    executor: Executor;
    options: GpuModelOptions;
    variants: VariantReport;
    pacer: Pacer;
    prefetch: Prefetch;
    costs: PassCosts;
    context: GpuContext;
    weights: ResidentWeights;
    resources: GpuResources;
    owned: readonly GPUBuffer[];
    programs: Programs;
    snapshots: readonly Snapshot[];
    budgetBytes: number;
  }) {
    this.spec = parts.spec;
    this.cache = parts.memory.cache;
    this.store = parts.memory.store;
    this.contextTokens = parts.resources.contextTokens;
    this.chunkTokens = usedChunk(parts.spec, parts.context.software);
    this.kvCache = parts.options.kvCache;
    this.accuracy = parts.options.accuracy;
    this.needs = parts.needs;
    this.executor = parts.executor;
    this.variants = parts.variants;
    this.policy = parts.options.policy;
    this.pacer = parts.pacer;
    this.prefetch = parts.prefetch;
    this.costs = parts.costs;
    this.speculation = new Speculation(parts.options.speculation, parts.spec.ahead !== undefined);
    this.#snapshots = new StateSnapshots(parts.context.device, parts.snapshots);
    this.#tokenChoices = new TokenChoices(ownMoe(parts.spec));
    this.#pools = parts.pools;
    this.#context = parts.context;
    this.#weights = parts.weights;
    this.#resources = parts.resources;
    this.#owned = parts.owned;
    this.#programs = parts.programs;
    this.#budgetBytes = parts.budgetBytes;
  }

  /**
   * Plans the memory, loads what every token needs, records the programs and times them.
   * Throws "budget-too-small", "unsupported-format", "bad-file", "truncated-file", "out-of-memory", "missing-feature",
   * "shader-invalid", "aborted" and what the source throws; nothing stays on the GPU then.
   */
  static async load(
    context: GpuContext,
    file: GgufFile,
    spec: ModelSpec,
    options: GpuModelOptions,
  ): Promise<GpuModel> {
    const pools = planPools(file, spec.moe);
    const weights = new ResidentWeights(context);
    return context.memory.guard("the model's weights and caches", async () => {
      await weights.load(file, spec.resident, options.onBytes, options.signal);
      options.onRecording();
      const { variant } = options.variants;
      const verifies = options.speculation !== "off";
      const fixed = allocateFixed(context, spec, weights, { ...options, variant, verifies });
      const recording = { guesses: options.predictor.needsGpuGuesses, verifies };
      const needs = planNeeds(context, spec, pools, fixed.resources, recording);
      const allocate = (cache: ExpertCache) =>
        context.memory.guard("the expert slots", () => new Arenas(context, pools, cache));
      const memory = await allocateExperts({ file, pools, needs, allocate }, options);
      const { cache, store, slots: arenas, plan } = memory;
      const planned = { ...fixed.resources, arenas: (pool: number) => arenas.of(pool) };
      const { control, pageTable, result, reply, seen, scores, verdict, guess } = planned;
      const { moe, vocab } = spec;
      const executor = new Executor({
        context,
        moe,
        vocab,
        cache,
        store,
        control,
        pageTable,
        result,
        reply,
        seen,
        scores,
        verdict,
        guess,
        counts: fixed.counts,
      });
      const { recordBytes } = needs;
      const recorded = await recordPrograms(planned, spec, recording);
      const { variants, resources, programs } = await tunePrograms(options.variants, {
        ...{ executor, arenas, spec, recording, recordBytes },
        resources: planned,
        programs: recorded,
      });
      const { kvCache, accuracy, contextTokens } = options;
      const shape = modelShape({ file, spec, kvCache });
      const kind = [shape, chosenVariants(variants), recording, accuracy, contextTokens];
      const costs = await passCosts(JSON.stringify(kind), {
        ...{ executor, arenas, program: programs.decode, recordBytes },
      });
      const pacer = new Pacer({
        pacing: options.pacing,
        layers: ownMoe(spec).length,
        blockLayers: moe.length - ownMoe(spec).length,
        isWhole: (index) => isWhole(cache, moe[index]!.pool),
      });
      pacer.setCosts(costs);
      return new GpuModel({
        spec,
        memory,
        pools,
        needs,
        executor,
        options,
        variants,
        pacer,
        prefetch: new Prefetch(options.predictor, {
          moe: ownMoe(spec),
          cache,
          store,
          recordBytes,
          costs: prefetchCosts(costs),
          exactLoads: () => executor.counters.exactLoads,
        }),
        costs,
        context,
        weights,
        resources,
        owned: fixed.owned,
        snapshots: fixed.snapshots,
        programs,
        budgetBytes: budgetBytesOf(options.budget, plan.gpuBytes),
      });
    });
  }

  /**
   * Computes `tokens` at `position`, at most a chunk of them.
   * Throws what `runPass` throws.
   */
  async pass(
    tokens: readonly number[],
    position: number,
    options: Pick<
      PassOptions,
      "logits" | "chooser" | "continues" | "following" | "predicts" | "signal"
    >,
  ): Promise<PassResult> {
    const { following, predicts } = options;
    const single = tokens.length === 1 && following === undefined && predicts === undefined;
    const { pacer, prefetch } = this;
    const { decode, prefill } = this.#programs;
    const cuts = single ? pacer.plan(prefetch.exact).cuts : pacer.cutsOfMany();
    const watched = single ? this.#watch(tokens[0]!) : { ahead: prefetch.exact };
    this.executor.count("passes", 1);
    this.executor.count("inFlight", 1);
    const passOptions = { ...options, ...watched, cuts };
    const program = single ? decode : prefill;
    const result = await runPass(this.executor, program, tokens, position, passOptions);
    return this.#learn(tokens, result);
  }

  /**
   * Passes of one token each from where a pass with `continues` has ended, until the flight is closed. To be done, and
   * the flight used, while no budget is being changed.
   */
  takeOff(start: FlightStart): Flight {
    const { executor, pacer, prefetch } = this;
    this.#flight = new Flight(
      {
        executor,
        program: () => this.#programs.decode,
        plan: () => {
          const plan = pacer.plan(prefetch.exact);
          // A guess before a pass goes by its token.
          return prefetch.guesses ? { ...plan, tokensInFlight: 1 } : plan;
        },
        watch: (token) => this.#watch(token),
        onLanded: (token, result) => {
          this.#learn([token], result);
        },
        onClosed: () => {
          this.#flight = undefined;
        },
      },
      start,
    );
    return this.#flight;
  }

  /**
   * Computes `tokens` at `position`, of which the first `known` ones are in the text and the others are drafted, and
   * keeps what is right of them. Throws what `runPass` throws.
   */
  async verify(
    tokens: readonly number[],
    known: number,
    position: number,
    options: Pick<PassOptions, "logits" | "signal">,
  ): Promise<VerifiedPass> {
    const { verify } = this.#programs;
    if (!verify) throw new Error("unreachable: drafted tokens without a program for them");
    const { exact } = this.prefetch;
    if (tokens.length > known) this.#snapshots.take();
    this.executor.count("passes", 1);
    this.executor.count("inFlight", 1);
    const pass = await runPass(this.executor, verify, tokens, position, {
      ...options,
      ...(this.spec.ahead && { predicts: { behind: known } }),
      cuts: this.pacer.cutsOfFew(tokens.length, exact),
      ahead: exact,
    });
    let right = known;
    while (right < tokens.length && pass.verdict![right - 1] === tokens[right]) right++;
    const goesBack = right < tokens.length && this.spec.recurrent.length > 0;
    if (goesBack) this.#snapshots.restore();
    return { pass: this.#learn(tokens, pass, right), right, kept: goesBack ? 0 : right };
  }

  /** Waits for the passes in flight: what they work with can be changed then. */
  async land(): Promise<void> {
    await this.#flight?.land();
  }

  /** What a pass of one token is watched with; undefined for a token that is not known yet. */
  #watch(token: number | undefined): Omit<PassOptions, "logits" | "cuts"> {
    const { pacer, prefetch } = this;
    if (token !== undefined) prefetch.beforePass(token);
    const known = token !== undefined && prefetch.exact ? this.#tokenChoices.of(token) : [];
    return {
      ahead: prefetch.exact,
      ...(known.length > 0 && { known }),
      onAsked: (moe, ids) => {
        prefetch.asked(moe, ids);
        pacer.observe(moe, this.#misses(moe, ids));
      },
      onChosen: (moe, ids, guess) => prefetch.onChosen(moe, ids, guess),
    };
  }

  /** Lets the predictors learn from the first `right` tokens of a pass; its result without the choices of the block ahead. */
  #learn(tokens: readonly number[], result: PassResult, right = tokens.length): PassResult {
    const { prefetch, spec } = this;
    const own = ownMoe(spec);
    const ids = result.ids.slice(0, own.length);
    const learnt = tokens.slice(0, right);
    const chosen = own.map(({ topK }, moe) => ids[moe]!.subarray(0, right * topK));
    prefetch.observe(learnt, chosen);
    if (prefetch.exact) this.#tokenChoices.learn(learnt, chosen);
    return { ...result, ids };
  }

  /** Whether one of the experts that a layer chose is not on the GPU. */
  #misses(moe: number, ids: Uint32Array): boolean {
    const { pool } = this.spec.moe[moe]!;
    return ids.some((expert) => this.cache.state(pool, expert) !== "ready");
  }

  /** The recorded passes; others after `setBudget`. */
  get programs(): Programs {
    return this.#programs;
  }

  /** Steps of the decode program, and those of them that belong to layers: all between the embedding and the head. */
  get steps(): { readonly all: number; readonly ofLayers: number } {
    const { steps, head } = this.#programs.decode;
    const embeddings = steps.filter(({ label }) => label === "embed").length;
    return { all: steps.length, ofLayers: head.first - embeddings };
  }

  get dispatchesPerLayer(): number {
    return this.steps.ofLayers / this.spec.layers;
  }

  /** Of all layers. */
  get kvCacheBytes(): number {
    const format = cacheFormats[this.kvCache];
    const size = { contextTokens: this.contextTokens, chunkTokens: plannedChunk(this.spec) };
    return this.spec.attention.reduce((sum, spec) => sum + kvCacheBytes(spec, format, size), 0);
  }

  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  /** What the experts take, and what of that the GPU's slots hold. */
  get expertPlan(): ExpertPlan {
    return expertPlanOf(this.#pools, this.needs.experts, (pool) => this.cache.slotCount(pool));
  }

  readonly threads = undefined;

  get adapter(): string {
    return this.#context.adapterName;
  }

  /** Of the GPU, by everything that the engine has there. */
  get memoryBytes(): number {
    return this.#context.memory.bytes;
  }

  get counters(): ExecutorCounters {
    return this.executor.counters;
  }

  get choosing(): ChoosingModel {
    return this;
  }

  get measuredCosts() {
    return measuredCosts(this);
  }

  get pacing() {
    return this.pacer.name;
  }

  beginReply(block: BufferSource, seen: BufferSource | undefined): void {
    this.executor.beginReply(block, seen);
  }

  goOn(token: number, position: number): void {
    this.executor.begin([token], position, { continues: true });
  }

  profile(options: ProfileOptions): Promise<EngineProfile> {
    return profileModel(this, options);
  }

  /**
   * Changes how many experts may be resident; what fits stays where it is. To be called between passes, with no load
   * under way. Throws "budget-too-small" or "out-of-memory", and changes nothing then.
   */
  async setBudget(budget: ParsedBudget): Promise<void> {
    const { slotCounts, gpuBytes } = planSlots({ ...this.needs, budget });
    try {
      await this.store.resize(slotCounts);
      this.#budgetBytes = budgetBytesOf(budget, gpuBytes);
    } finally {
      disposePrograms(this.#programs);
      const guesses = this.prefetch.needsGpuGuesses;
      const verifies = this.speculation.name !== "off";
      this.#programs = await recordPrograms(this.#resources, this.spec, { guesses, verifies });
    }
  }

  dispose(): void {
    this.executor.dispose();
    disposePrograms(this.#programs);
    this.store.dispose();
    this.#weights.dispose();
    for (const buffer of this.#owned) this.#context.memory.release(buffer);
  }
}

/** A fault waits for a readback and skips half the pass, on average. */
function prefetchCosts({ readback, skipped, uploadPerByte }: PassCosts): PrefetchCosts {
  return { faultMs: readback + skipped / 2, msPerByte: uploadPerByte };
}

function isWhole(cache: ExpertCache, pool: number): boolean {
  return cache.slotCount(pool) === cache.experts && cache.ready(pool).length === cache.experts;
}
