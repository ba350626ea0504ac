import { SluiceError } from "../errors.ts";
import { ExpertCache } from "../experts/expert-cache.ts";
import { DEFAULT_EVICTION_POLICY, evictionPolicies } from "../experts/policies/registry.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import { type VariantName, variants } from "../kernels/parts.ts";
import type { ModelSpec } from "../models/model.ts";
import type { GpuResources } from "../ops/gpu-resources.ts";
import type { RopeSpec } from "../ops/ops.ts";
import type { Program } from "../ops/program.ts";
import {
  fullBudgetBytes,
  type GpuNeeds,
  minBudgetBytes,
  type ParsedBudget,
  planSlots,
} from "../scheduler/budget.ts";
import { CONTROL_WORDS, Executor } from "./executor.ts";
import { ExpertStore, planPools } from "./expert-store.ts";
import { CHUNK_TOKENS, expertsOf, type Programs, planNeeds, recordPrograms } from "./programs.ts";
import { ropeAngles } from "./rope.ts";
import { ResidentWeights } from "./weights.ts";

/** How a model is put on the GPU. */
export interface ModelOptions {
  readonly budget: ParsedBudget;
  readonly contextTokens: number;
  readonly variants: VariantName;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (bytes: number) => void;
  /** The weights are there; shaders are compiled next. */
  readonly onRecording: () => void;
}

/** A model on the GPU, ready to run passes. Owned by the engine, which calls `dispose`. */
export class LoadedModel {
  readonly spec: ModelSpec;
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly contextTokens: number;
  readonly needs: GpuNeeds;
  readonly executor: Executor;
  readonly variants: VariantName;
  readonly #context: GpuContext;
  readonly #weights: ResidentWeights;
  readonly #resources: GpuResources;
  readonly #owned: readonly GPUBuffer[];
  #programs: Programs;
  #budgetBytes: number;

  private constructor(parts: {
    spec: ModelSpec;
    cache: ExpertCache;
    store: ExpertStore;
    needs: GpuNeeds;
    executor: Executor;
    variants: VariantName;
    context: GpuContext;
    weights: ResidentWeights;
    resources: GpuResources;
    owned: readonly GPUBuffer[];
    programs: Programs;
    budgetBytes: number;
  }) {
    this.spec = parts.spec;
    this.cache = parts.cache;
    this.store = parts.store;
    this.contextTokens = parts.resources.contextTokens;
    this.needs = parts.needs;
    this.executor = parts.executor;
    this.variants = parts.variants;
    this.#context = parts.context;
    this.#weights = parts.weights;
    this.#resources = parts.resources;
    this.#owned = parts.owned;
    this.#programs = parts.programs;
    this.#budgetBytes = parts.budgetBytes;
  }

  /**
   * Plans the memory, loads what every token needs and records the programs.
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
      const needs = planNeeds(context, spec, pools, fixed.resources);
      const { slotCounts, gpuBytes } = planSlots({ ...needs, budget: options.budget });
      const cache = new ExpertCache({
        experts: needs.experts,
        slotCounts,
        createPolicy: evictionPolicies[DEFAULT_EVICTION_POLICY],
      });
      const store = new ExpertStore(context, file, pools, cache);
      const resources = { ...fixed.resources, arenas: (pool: number) => store.arenas(pool) };
      const executor = new Executor({
        context,
        moe: spec.moe,
        vocab: spec.vocab,
        cache,
        store,
        control: resources.control,
        pageTable: resources.pageTable,
        result: resources.result,
      });
      return new LoadedModel({
        spec,
        cache,
        store,
        needs,
        executor,
        variants: options.variants,
        context,
        weights,
        resources,
        owned: fixed.owned,
        programs: await recordPrograms(resources, spec),
        budgetBytes: budgetBytesOf(options.budget, gpuBytes),
      });
    });
  }

  /** The program that runs passes of `tokens` tokens. */
  program(tokens: number): Program {
    return tokens === 1 ? this.#programs.decode : this.#programs.prefill;
  }

  /** Dispatches of the decode program that belong to layers: all but embedding, final norm, head and argmax. */
  get dispatchesPerLayer(): number {
    const outside = 4;
    return (this.#programs.decode.steps.length - outside) / this.spec.layers;
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

  /**
   * Changes how many experts may be resident; what fits stays where it is. To be called between passes, with no load
   * under way. Throws "budget-too-small" or "out-of-memory", and changes nothing then.
   */
  async setBudget(budget: ParsedBudget): Promise<void> {
    const { slotCounts, gpuBytes } = planSlots({ ...this.needs, budget });
    await this.store.resize(slotCounts, () => {
      const plan = this.cache.resize(slotCounts);
      if (!plan) throw new Error("unreachable: a slot is in use between passes");
      return plan;
    });
    const old = this.#programs;
    old.decode.dispose();
    old.prefill.dispose();
    this.#programs = await recordPrograms(this.#resources, this.spec);
    this.#budgetBytes = budgetBytesOf(budget, gpuBytes);
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

/** A share is worth what it takes; bytes are a promise that is kept, and shown as given. */
function budgetBytesOf(budget: ParsedBudget, gpuBytes: number): number {
  return budget.kind === "bytes" ? budget.bytes : gpuBytes;
}

/** The buffers whose size does not depend on the budget, and the look-ups that programs bind through. */
function allocateFixed(
  context: GpuContext,
  spec: ModelSpec,
  weights: ResidentWeights,
  options: ModelOptions,
): { readonly resources: Omit<GpuResources, "arenas">; readonly owned: readonly GPUBuffer[] } {
  const { memory, device } = context;
  const { contextTokens } = options;
  const owned: GPUBuffer[] = [];
  const storage = (label: string, bytes: number) => {
    const buffer = memory.storage(label, bytes);
    owned.push(buffer);
    return buffer;
  };
  const experts = expertsOf(spec);
  const control = storage("control", 4 * (CONTROL_WORDS + CHUNK_TOKENS));
  const pageTable = storage("page table", 4 * spec.moe.length * experts);
  const result = storage("result", 4);
  const kvCaches = spec.attention.map(({ layer, kvHeads, headDim }) =>
    storage(`KV cache of layer ${layer}`, 4 * 2 * contextTokens * kvHeads * headDim),
  );
  const tables = new Map<string, GPUBuffer>();
  const ropeTable = (rope: RopeSpec) => {
    const key = JSON.stringify(rope);
    let buffer = tables.get(key);
    if (!buffer) {
      const factors = rope.factors === undefined ? undefined : weights.values(rope.factors);
      const angles = ropeAngles(rope, contextTokens, factors);
      buffer = storage("rope angles", angles.byteLength);
      device.queue.writeBuffer(buffer, 0, angles);
      tables.set(key, buffer);
    }
    return buffer;
  };
  const vector = (name: string, width: number) => {
    checkVector(name, weights.values(name).length, width);
    return weights.vectors([name]);
  };
  return {
    owned,
    resources: {
      context,
      variant: variants[options.variants],
      contextTokens,
      control,
      pageTable,
      pageFirst: (pool) => pool * experts,
      result,
      matrix: (name) => weights.matrix(name),
      vector,
      vectors: (first, second) => weights.vectors([first, second]),
      kvCache: (layer) => kvCaches[layer]!,
      ropeTable,
    },
  };
}

function checkVector(name: string, got: number, wanted: number): void {
  if (got !== wanted) {
    throw new SluiceError(
      "shape-mismatch",
      `${name} has ${got} values, the model wants ${wanted}. The model file does not fit its architecture.`,
    );
  }
}
