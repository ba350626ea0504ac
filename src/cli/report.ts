import { plannedChunk } from "../engine/chunks.ts";
import { dryRun } from "../engine/dry-run.ts";
import { kvCacheBytes } from "../engine/kv-cache.ts";
import { type PoolLayout, planPools } from "../engine/pool-layout.ts";
import { REPLY_BLOCK_BYTES } from "../engine/reply-block.ts";
import { formatOf, tensorOf } from "../engine/tensor-reader.ts";
import { modelShape } from "../engine/tuning/key.ts";
import { SluiceError } from "../errors.ts";
import {
  type CacheFormatName,
  cacheFormats,
  DEFAULT_CACHE_FORMAT,
} from "../formats/cache/registry.ts";
import { planPlanes } from "../formats/format.ts";
import { ggmlTypeName } from "../gguf/ggml-types.ts";
import { type GgufFile, openGguf } from "../gguf/gguf.ts";
import type { ModelSpec } from "../models/model.ts";
import { readModel } from "../models/registry.ts";
import { stateValues } from "../ops/recurrent.ts";
import {
  fullBudgetBytes,
  type GpuNeeds,
  minBudgetBytes,
  parseBudget,
  planSlots,
} from "../scheduler/budget.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import { findLimits, type LimitRow } from "./limits.ts";

/** What `inspect --json` prints. */
export interface ModelReport {
  readonly model: {
    readonly file: string;
    readonly name: string;
    readonly architecture: string;
    /** Of all its files. */
    readonly bytes: number;
    readonly files: number;
    readonly parameters: number;
    readonly layers: number;
    readonly moeLayers: number;
    readonly experts: number;
    readonly topK: number;
    readonly hidden: number;
    readonly vocab: number;
    readonly contextTokens: number;
    readonly trainedContextTokens: number;
    /** Names its shapes and formats: part of what kernel variants are kept by. */
    readonly shape: string;
  };
  readonly tensors: readonly TensorRow[];
  readonly expert: {
    /** Bytes of one expert's record on the GPU; of the largest, where layers differ. */
    readonly bytes: number;
    readonly allBytes: number;
    readonly formats: readonly string[];
  };
  readonly gpu: {
    readonly weightBytes: number;
    readonly kvCache: CacheFormatName;
    readonly kvCacheBytes: number;
    /** Of recurrent layers, whatever the context. */
    readonly stateBytes: number;
    /** Of the passes, with their tables of angles. */
    readonly scratchBytes: number;
    /** What is always there: the sum of the four. */
    readonly residentBytes: number;
    readonly minGpuBudgetBytes: number;
    readonly fullGpuBudgetBytes: number;
  };
  /** What is longer than what every WebGPU device binds at once. */
  readonly limits: readonly LimitRow[];
  readonly budgets: readonly BudgetRow[];
}

/** Tensors of one name, the layer's number left out, and one format. */
export interface TensorRow {
  readonly name: string;
  readonly format: string;
  readonly count: number;
  readonly weights: number;
  /** In the file. */
  readonly bytes: number;
  /** `gpu`: always there; `slots`: an expert at a time; `unused`: the model does not read it. */
  readonly place: "gpu" | "slots" | "unused";
}

/** What fits into a budget, or why it does not work. */
export type BudgetRow =
  | {
      readonly budget: string;
      /** Of each pool. */
      readonly slots: readonly number[];
      readonly residentExperts: number;
      readonly totalExperts: number;
      readonly gpuBytes: number;
      readonly error?: undefined;
    }
  | { readonly budget: string; readonly error: string };

/** How a report is asked for. */
export interface ReportOptions {
  readonly contextTokens: number | undefined;
  readonly kvCache: CacheFormatName | undefined;
  /** One more budget to plan for. */
  readonly gpuBudget: string | undefined;
  readonly signal: AbortSignal;
}

/** As the engine has it: a KV cache for more is only made when asked for. */
const DEFAULT_CONTEXT_TOKENS = 4096;

/** Shares of the experts, and what the graphics memory of common devices allows. */
const BUDGETS = ["25%", "50%", "75%", "100%", "2GB", "4GB", "8GB"] as const;

/**
 * Reads a model's header and plans its memory as the engine would.
 * Throws "bad-file", "truncated-file", "unsupported-model", "unsupported-format", "shape-mismatch", and "bad-input" for
 * options.
 */
export async function reportModel(
  source: ByteSource,
  { gpuBudget, ...wanted }: ReportOptions,
): Promise<ModelReport> {
  if (gpuBudget !== undefined) parseBudget(gpuBudget);
  const { file, spec, contextTokens, pools, gpu, needs } = await planModel(source, wanted);
  const formats = pools.flatMap(({ gate, up, down }) => [gate, up, down].map((m) => m.format.name));
  const tensors = [...file.tensors.values()];
  return {
    model: {
      file: source.name,
      name: file.metadata.optionalString("general.name") ?? source.name,
      architecture: spec.architecture,
      bytes: source.bytes,
      files: source.parts?.length ?? 1,
      parameters: tensors.reduce((sum, { shape }) => sum + product(shape), 0),
      layers: spec.layers,
      moeLayers: spec.moe.length,
      experts: needs.experts,
      topK: needs.topK,
      hidden: spec.hidden,
      vocab: spec.vocab,
      contextTokens,
      trainedContextTokens: spec.contextTokens,
      shape: modelShape({ file, spec, kvCache: gpu.kvCache }),
    },
    tensors: tabulate(file, spec),
    expert: {
      bytes: Math.max(0, ...needs.recordBytes),
      allBytes: needs.experts * needs.recordBytes.reduce((sum, bytes) => sum + bytes, 0),
      formats: [...new Set(formats)],
    },
    gpu: {
      ...gpu,
      residentBytes: needs.residentBytes,
      minGpuBudgetBytes: minBudgetBytes(needs),
      fullGpuBudgetBytes: fullBudgetBytes(needs),
    },
    limits: findLimits(file, spec, pools, { contextTokens, kvCache: gpu.kvCache }),
    budgets: planBudgets(needs, gpuBudget),
  };
}

/**
 * Reads a model's header and plans what it needs of the GPU.
 * Throws "bad-file", "truncated-file", "unsupported-model", "unsupported-format", "shape-mismatch", and "bad-input" for
 * the context.
 */
export async function planModel(
  source: ByteSource,
  { contextTokens: wanted, kvCache, signal }: Omit<ReportOptions, "gpuBudget">,
) {
  const file = await openGguf(source, { signal });
  const spec = readModel({
    metadata: file.metadata,
    shape: (name) => file.tensors.get(name)?.shape,
  });
  const contextTokens = readContext(wanted, spec);
  const pools = planPools(file, spec.moe);
  const gpu = planGpu(file, spec, pools, contextTokens, kvCache ?? DEFAULT_CACHE_FORMAT);
  const needs: GpuNeeds = {
    residentBytes: gpu.weightBytes + gpu.kvCacheBytes + gpu.stateBytes + gpu.scratchBytes,
    recordBytes: pools.map(({ recordBytes }) => recordBytes),
    experts: Math.max(0, ...spec.moe.map(({ experts }) => experts)),
    topK: Math.max(0, ...spec.moe.map(({ topK }) => topK)),
  };
  return { file, spec, contextTokens, pools, gpu, needs };
}

function readContext(wanted: number | undefined, spec: ModelSpec): number {
  if (wanted === undefined) return Math.min(spec.contextTokens, DEFAULT_CONTEXT_TOKENS);
  if (wanted <= spec.contextTokens) return wanted;
  throw new SluiceError(
    "bad-input",
    `--context is ${wanted}; this model takes at most ${spec.contextTokens}.`,
  );
}

function planBudgets(needs: GpuNeeds, gpuBudget: string | undefined): BudgetRow[] {
  if (needs.recordBytes.length === 0) return []; // a dense model
  return [
    `${minBudgetBytes(needs)}B`,
    ...BUDGETS,
    ...(gpuBudget === undefined ? [] : [gpuBudget]),
  ].map((budget) => {
    try {
      const { slotCounts: slots, gpuBytes } = planSlots({ ...needs, budget: parseBudget(budget) });
      const residentExperts = slots.reduce((sum, count) => sum + count, 0);
      const totalExperts = needs.experts * slots.length;
      return { budget, slots, residentExperts, totalExperts, gpuBytes };
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      return { budget, error: error.message };
    }
  });
}

function planGpu(
  file: GgufFile,
  spec: ModelSpec,
  pools: readonly PoolLayout[],
  contextTokens: number,
  kvCache: CacheFormatName,
) {
  const weightBytes = spec.resident.reduce((sum, { name, shape, idsBelow, decoded }) => {
    const info = tensorOf(file, name);
    // Vectors and small tensors are expanded to f32, ids are u32.
    const bytes =
      shape.length === 1 || decoded || idsBelow !== undefined
        ? 4 * product(shape)
        : planPlanes(formatOf(info), product(shape)).bytes;
    return sum + bytes;
  }, 0);
  const size = { contextTokens, chunkTokens: plannedChunk(spec) };
  const cacheBytes = spec.attention.reduce(
    (sum, attention) => sum + kvCacheBytes(attention, cacheFormats[kvCache], size),
    0,
  );
  const stateBytes = spec.recurrent
    .flatMap((recurrent) => Object.values(stateValues(recurrent)))
    .reduce((sum, values) => sum + 4 * values, 0);
  const options = { contextTokens, cacheFormat: cacheFormats[kvCache] };
  // What replies are sampled by is as long as the vocabulary.
  const samplingBytes = REPLY_BLOCK_BYTES + 4 * spec.vocab;
  const scratchBytes =
    dryRun(file, spec, pools, options) + ropeBytes(spec, contextTokens) + samplingBytes;
  return { weightBytes, kvCache, kvCacheBytes: cacheBytes, stateBytes, scratchBytes };
}

/** Tables of the angles of each position: a sine and a cosine for two dimensions. */
function ropeBytes({ attention }: ModelSpec, contextTokens: number): number {
  const kinds = new Map(attention.map(({ rope }) => [JSON.stringify(rope), rope?.dims ?? 0]));
  return [...kinds.values()].reduce((sum, dims) => sum + 4 * contextTokens * dims, 0);
}

function tabulate(file: GgufFile, spec: ModelSpec): TensorRow[] {
  const resident = new Set(spec.resident.map(({ name }) => name));
  const stacked = new Set(spec.stacked.map(({ name }) => name));
  const rows = new Map<string, TensorRow>();
  for (const { name, ggmlType, shape, bytes } of file.tensors.values()) {
    const place = stacked.has(name) ? "slots" : resident.has(name) ? "gpu" : "unused";
    const kind = name.replace(/^blk\.\d+\./, "blk.*.");
    const format = ggmlTypeName(ggmlType).toLowerCase();
    const key = [kind, format, place].join(" ");
    const row = rows.get(key) ?? { name: kind, format, count: 0, weights: 0, bytes: 0, place };
    rows.set(key, {
      ...row,
      count: row.count + 1,
      weights: row.weights + product(shape),
      bytes: row.bytes + bytes,
    });
  }
  return [...rows.values()];
}

function product(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
