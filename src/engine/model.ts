import { SluiceError } from "../errors.ts";
import { ExpertCache } from "../experts/expert-cache.ts";
import { LowerTiers } from "../experts/lower-tiers.ts";
import { type EvictionPolicyName, evictionPolicies } from "../experts/policies/registry.ts";
import { type CacheFormatName, cacheFormats } from "../formats/cache/registry.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { VariantName } from "../kernels/parts.ts";
import type { ModelSpec } from "../models/model.ts";
import type { GpuResources } from "../ops/gpu-resources.ts";
import {
  fullBudgetBytes,
  type GpuNeeds,
  minBudgetBytes,
  type ParsedBudget,
  planSlots,
  type SlotPlan,
  slotPlansToTry,
} from "../scheduler/budget.ts";
import type { PacingName } from "../scheduler/pacing/registry.ts";
import type { PrefetchCosts } from "../scheduler/prefetch-gauge.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import type { RecordStore } from "../storage/store/record-store.ts";
import { calibrate, type PassCosts } from "./calibration.ts";
import { Executor } from "./executor.ts";
import { ExpertStore } from "./expert-store.ts";
import { allocateFixed } from "./fixed-resources.ts";
import { kvCacheBytes } from "./kv-cache.ts";
import { Pacer } from "./pacer.ts";
import { type PassOptions, type PassResult, runPass } from "./pass.ts";
import { type PoolLayout, planPools } from "./pool-layout.ts";
import { type PredictorChoice, Prefetch } from "./prefetch.ts";
import { type Programs, planNeeds, recordPrograms } from "./programs.ts";
import { Records } from "./records.ts";
import { TokenChoices } from "./token-choices.ts";
import { ResidentWeights } from "./weights.ts";

/** How a model is put on the GPU. */
export interface ModelOptions {
  /** Undefined: as much as the GPU has room for. */
  readonly budget: ParsedBudget | undefined;
  /** Of RAM, in bytes, once it is known how many experts the GPU holds. */
  readonly ramBudgetBytes: (plan: ExpertPlan) => number;
  readonly diskBudgetBytes: (plan: ExpertPlan) => number;
  readonly disk: RecordStore | undefined;
  /** Where experts are read: nothing of it is kept as it is in the file. */
  readonly passing: ByteSource;
  readonly policy: EvictionPolicyName;
  readonly predictor: PredictorChoice;
  readonly pacing: PacingName;
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
  readonly variants: VariantName;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (bytes: number) => void;
  /** The weights are there; shaders are compiled next. */
  readonly onRecording: () => void;
}

/** What the experts of a model take, and what of that the GPU holds. */
export interface ExpertPlan {
  readonly expertBytes: number;
  readonly gpuExpertBytes: number;
}

/** A model on the GPU, ready to run passes. Owned by the engine, which calls `dispose`. */
export class LoadedModel {
  readonly spec: ModelSpec;
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
  readonly needs: GpuNeeds;
  readonly executor: Executor;
  readonly variants: VariantName;
  readonly pacer: Pacer;
  readonly prefetch: Prefetch;
  readonly policy: EvictionPolicyName;
  /** Measured when the model was loaded. */
  readonly costs: PassCosts;
  readonly #tokenChoices: TokenChoices;
  readonly #context: GpuContext;
  readonly #weights: ResidentWeights;
  readonly #resources: GpuResources;
  readonly #owned: readonly GPUBuffer[];
  #programs: Programs;
  #budgetBytes: number;

  private constructor(parts: {
    spec: ModelSpec;
    slots: Slots;
    needs: GpuNeeds;
    executor: Executor;
    options: ModelOptions;
    pacer: Pacer;
    prefetch: Prefetch;
    costs: PassCosts;
    context: GpuContext;
    weights: ResidentWeights;
    resources: GpuResources;
    owned: readonly GPUBuffer[];
    programs: Programs;
    budgetBytes: number;
  }) {
    this.spec = parts.spec;
    this.cache = parts.slots.cache;
    this.store = parts.slots.store;
    this.contextTokens = parts.resources.contextTokens;
    this.kvCache = parts.options.kvCache;
    this.needs = parts.needs;
    this.executor = parts.executor;
    this.variants = parts.options.variants;
    this.policy = parts.options.policy;
    this.pacer = parts.pacer;
    this.prefetch = parts.prefetch;
    this.costs = parts.costs;
    this.#tokenChoices = new TokenChoices(parts.spec.moe);
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
    options: ModelOptions,
  ): Promise<LoadedModel> {
    const pools = planPools(file, spec.moe);
    const weights = new ResidentWeights(context);
    return context.memory.guard("the model's weights and caches", async () => {
      await weights.load(file, spec.resident, options.onBytes, options.signal);
      options.onRecording();
      const fixed = allocateFixed(context, spec, weights, options);
      const guesses = options.predictor.needsGpuGuesses;
      const needs = planNeeds(context, spec, pools, fixed.resources, { guesses });
      const slots = await allocateSlots(context, file, pools, needs, options);
      const { cache, store, plan } = slots;
      const resources = { ...fixed.resources, arenas: (pool: number) => store.arenas(pool) };
      const { control, pageTable, result, scores } = resources;
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
        scores,
        counts: fixed.counts,
      });
      const programs = await recordPrograms(resources, spec, { guesses });
      const { recordBytes } = needs;
      const costs = await calibrate({ executor, store, program: programs.decode, recordBytes });
      const pacer = new Pacer({
        pacing: options.pacing,
        layers: moe.length,
        isWhole: (index) => isWhole(cache, moe[index]!.pool),
      });
      pacer.setCosts(costs);
      return new LoadedModel({
        spec,
        slots,
        needs,
        executor,
        options,
        pacer,
        prefetch: new Prefetch(options.predictor, {
          moe,
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
    options: Pick<PassOptions, "logits" | "following" | "signal">,
  ): Promise<PassResult> {
    const single = tokens.length === 1 && options.following === undefined;
    const { pacer, prefetch } = this;
    const choices = this.#tokenChoices;
    if (single) prefetch.beforePass(tokens[0]!);
    const result = await runPass(
      this.executor,
      single ? this.#programs.decode : this.#programs.prefill,
      tokens,
      position,
      {
        ...options,
        cuts: pacer.cuts(tokens.length, prefetch.exact),
        ahead: prefetch.exact,
        ...(single && {
          known: prefetch.exact ? choices.of(tokens[0]!) : [],
          onAsked: (moe, ids) => {
            prefetch.asked(moe, ids);
            pacer.observe(moe, this.#misses(moe, ids));
          },
          onChosen: (moe, ids, guess) => prefetch.onChosen(moe, ids, guess),
        }),
      },
    );
    prefetch.observe(tokens, result.ids);
    if (prefetch.exact) choices.learn(tokens, result.ids);
    return result;
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
    return this.spec.attention.reduce(
      (sum, spec) => sum + kvCacheBytes(spec, format, this.contextTokens),
      0,
    );
  }

  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  get minBudgetBytes(): number {
    return minBudgetBytes(this.needs);
  }

  get fullBudgetBytes(): number {
    return fullBudgetBytes(this.needs);
  }

  /** What the experts take, and what of that the GPU's slots hold. */
  get expertPlan(): ExpertPlan {
    return expertPlanOf(this.needs, (pool) => this.cache.slotCount(pool));
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
      const old = this.#programs;
      old.decode.dispose();
      old.prefill.dispose();
      const guesses = this.prefetch.needsGpuGuesses;
      this.#programs = await recordPrograms(this.#resources, this.spec, { guesses });
    }
  }

  dispose(): void {
    this.executor.dispose();
    this.#programs.decode.dispose();
    this.#programs.prefill.dispose();
    this.store.dispose();
    this.#weights.dispose();
    for (const buffer of this.#owned) this.#context.memory.release(buffer);
  }
}

/** The expert cache with the slots that it keeps the books of. */
interface Slots {
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly plan: SlotPlan;
}

/**
 * Allocates the slots that the budget gives or, without one, as many as the GPU has room for.
 * Throws "budget-too-small" or "out-of-memory".
 */
async function allocateSlots(
  context: GpuContext,
  file: GgufFile,
  pools: readonly PoolLayout[],
  needs: GpuNeeds,
  options: ModelOptions,
): Promise<Slots> {
  const { budget } = options;
  const plans = budget ? [planSlots({ ...needs, budget })] : slotPlansToTry(needs);
  for (const [index, plan] of plans.entries()) {
    try {
      return await context.memory.guard("the expert slots", () =>
        createSlots(context, file, pools, needs, plan, options),
      );
    } catch (error) {
      const refused = error instanceof SluiceError && error.code === "out-of-memory";
      if (!refused || index === plans.length - 1) throw error;
    }
  }
  throw new Error("unreachable: there is a plan to try");
}

function createSlots(
  context: GpuContext,
  file: GgufFile,
  pools: readonly PoolLayout[],
  needs: GpuNeeds,
  plan: SlotPlan,
  options: ModelOptions,
): Slots {
  const { experts, recordBytes } = needs;
  const { policy, disk } = options;
  const cache: ExpertCache = new ExpertCache({
    experts,
    slotCounts: plan.slotCounts,
    createPolicy: evictionPolicies[policy],
    reloadCost: (pool, expert) => tiers.reloadCost(pool, expert),
  });
  const expertPlan = expertPlanOf(needs, (pool) => plan.slotCounts[pool]!);
  const onGpu = (pool: number, expert: number) => cache.state(pool, expert) !== "absent";
  const tiers = new LowerTiers({
    experts,
    recordBytes,
    ramBudgetBytes: options.ramBudgetBytes(expertPlan),
    diskBudgetBytes: options.diskBudgetBytes(expertPlan),
    policy,
    onGpu,
  });
  const passing = { ...file, source: options.passing };
  const records = new Records({ file: passing, pools, experts, onGpu, tiers, disk });
  return { cache, store: new ExpertStore(context, pools, cache, records), plan };
}

function expertPlanOf(needs: GpuNeeds, slots: (pool: number) => number): ExpertPlan {
  const { recordBytes, experts } = needs;
  return {
    expertBytes: recordBytes.reduce((sum, bytes) => sum + bytes * experts, 0),
    gpuExpertBytes: recordBytes.reduce((sum, bytes, pool) => sum + bytes * slots(pool), 0),
  };
}

/** A fault waits for a readback and skips half the pass, on average. */
function prefetchCosts({ readback, skipped, uploadPerByte }: PassCosts): PrefetchCosts {
  return { faultMs: readback + skipped / 2, msPerByte: uploadPerByte };
}

function isWhole(cache: ExpertCache, pool: number): boolean {
  return cache.slotCount(pool) === cache.experts && cache.ready(pool).length === cache.experts;
}

/** A share is worth what it takes; bytes are a promise that is kept, and shown as given. */
function budgetBytesOf(budget: ParsedBudget | undefined, gpuBytes: number): number {
  return budget?.kind === "bytes" ? budget.bytes : gpuBytes;
}
