import { throwIfAborted } from "../errors.ts";
import type { CacheFormatName } from "../formats/cache/registry.ts";
import { type Accuracy, accuracyOn, DEFAULT_ACCURACY } from "../formats/input/registry.ts";
import { type GgufFile, openGguf } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { ModelSpec } from "../models/model.ts";
import { readModel } from "../models/registry.ts";
import type { LoadOptions, LoadProgress, ModelInfo, RuntimeReport } from "../rpc/api.ts";
import { fullBudgetBytes, minBudgetBytes, type ParsedBudget } from "../scheduler/budget.ts";
import type { SpeculationName } from "../speculation/registry.ts";
import { createTokenizer, type TextTokenizer } from "../tokenizer/tokenizer.ts";
import { plannedChunk } from "./chunks.ts";
import { Filler } from "./filler.ts";
import { GpuModel } from "./gpu-model.ts";
import { History } from "./history.ts";
import { earliestReturn } from "./kv-cache.ts";
import {
  readAccuracy,
  readBudgets,
  readContext,
  readKvCache,
  readPolicies,
  readRules,
  type WantedMemory,
} from "./load-options.ts";
import type { ModelOptions, RunningModel } from "./model.ts";
import { OnnxModel } from "./onnx/onnx-model.ts";
import type { Runtime } from "./runtime.ts";
import { type CountedSource, openSource } from "./source.ts";
import { checkDrafter, readSpeculation, wantsAhead } from "./speculation/speculation.ts";
import {
  deviceMemoryBytes,
  diskBudgetBytes,
  ramBudgetBytes,
  storeBudgetBytes,
} from "./tier-budgets.ts";
import { tuningKey } from "./tuning/key.ts";
import { planVariants, type VariantPlan } from "./tuning/plan.ts";
import { usableSubgroups } from "./tuning/subgroup-check.ts";
import { readWantedVariants, type WantedVariants } from "./tuning/wanted.ts";
import type { EngineSource, TuningPlace } from "./types.ts";

/** What is drafted unless asked for: see "Speculation" in docs/measurements.md. */
const DEFAULT_SPECULATION: SpeculationName = "off";

/** How often progress is told while slots are filled. */
const PROGRESS_MS = 100;

/** A file whose header was read and found to be a model that can be run. */
export interface OpenedModel {
  readonly source: CountedSource;
  /** Says which record leaves the disk first; the model knows, once it is loaded. */
  readonly kept: { coldest: () => string | undefined };
  readonly file: GgufFile;
  readonly spec: ModelSpec;
  readonly tokenizer: TextTokenizer;
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
  /** As it was asked for: see `ModelOptions` for what it is. */
  readonly accuracy: Accuracy;
  readonly wanted: WantedMemory;
  readonly variants: WantedVariants;
  readonly speculation: SpeculationName;
}

/** A model that is loaded, with everything that belongs to it. Owned by the engine. */
export interface Session
  extends Omit<
    OpenedModel,
    "contextTokens" | "kvCache" | "accuracy" | "wanted" | "kept" | "variants" | "speculation"
  > {
  readonly runtime: RuntimeReport;
  readonly info: ModelInfo;
  readonly model: RunningModel;
  readonly history: History;
  readonly filler: Filler;
  /** Whether empty slots are filled in the background. */
  readonly fill: boolean;
  /** What was asked of RAM and disk; a change of it is the engine's. */
  readonly lower: { ram: ParsedBudget | undefined; disk: ParsedBudget | undefined };
}

/** What loading is watched and stopped by. */
export interface LoadHooks {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: LoadProgress) => void;
}

/**
 * Reads a file's header. Throws "bad-input", "not-found", "network", "bad-file", "truncated-file", "unsupported-model",
 * "unsupported-tokenizer", "aborted".
 */
export async function openModel(
  from: EngineSource,
  options: LoadOptions,
  runtime: Runtime["name"],
  signal: AbortSignal | undefined,
): Promise<OpenedModel> {
  const budgets = readBudgets({
    gpu: options.gpuBudget,
    ram: options.ramBudget,
    disk: options.diskBudget,
  });
  const wantedSpeculation = readSpeculation(options.speculation ?? DEFAULT_SPECULATION);
  const speculation = runtime === "onnx" ? "off" : wantedSpeculation;
  const ahead = wantsAhead(speculation);
  const kept: { coldest: () => string | undefined } = { coldest: () => undefined };
  const source = await openSource(
    from,
    { budgetBytes: storeBudgetBytes(budgets.disk), coldest: () => kept.coldest() },
    signal,
  );
  try {
    const file = await openGguf(source, { signal });
    const spec = readModel(
      { metadata: file.metadata, shape: (name) => file.tensors.get(name)?.shape },
      readRules(options.rules),
      ahead,
    );
    checkDrafter(speculation, spec.ahead !== undefined);
    const tokenizer = createTokenizer(file.metadata);
    const contextTokens = readContext(options.contextTokens, spec);
    const kvCache = readKvCache(options.kvCache);
    const accuracy = readAccuracy(options.accuracy);
    const wanted = { ...budgets, ...readPolicies(options, spec) };
    const variants = readWantedVariants(options);
    throwIfAborted(signal, "Loading the model");
    const opened = { source, kept, file, spec, tokenizer, contextTokens, kvCache };
    return { ...opened, accuracy, wanted, variants, speculation };
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** Makes an opened model ready to run. Throws as `GpuModel.load` and `OnnxModel.load`; the source is closed then. */
export async function createSession(
  runtime: Runtime,
  opened: OpenedModel,
  options: LoadOptions,
  tuning: TuningPlace,
  hooks: LoadHooks,
): Promise<Session> {
  const { source, kept, file, spec, tokenizer, contextTokens, kvCache } = opened;
  const { wanted, speculation } = opened;
  const accuracy = usableAccuracy(runtime, opened.accuracy);
  const totalBytes = spec.resident.reduce(
    (sum, { name }) => sum + (file.tensors.get(name)?.bytes ?? 0),
    0,
  );
  let loadedBytes = 0;
  const report = (phase: LoadProgress["phase"]) =>
    hooks.onProgress({ phase, loadedBytes, totalBytes });
  let model: RunningModel | undefined;
  let filler: Filler | undefined;
  try {
    const modelOptions: ModelOptions = {
      budget: wanted.gpu,
      ramBudgetBytes: (plan) => ramBudgetBytes(wanted.ram, plan),
      diskBudgetBytes: (plan) => diskBudgetBytes(wanted.disk, plan, source.store),
      disk: source.store,
      passing: source.passing,
      policy: wanted.policy,
      predictor: wanted.predictor,
      pacing: wanted.pacing,
      contextTokens,
      kvCache,
      accuracy,
      speculation,
      signal: hooks.signal,
      onBytes(bytes) {
        loadedBytes = Math.min(totalBytes, loadedBytes + bytes);
        report("weights");
      },
      onRecording: () => report("pipelines"),
    };
    model = await loadModel(runtime, { ...opened, accuracy }, modelOptions, tuning);
    const { recordBytes, topK } = model.needs;
    filler = new Filler(model.cache, model.store, Math.max(0, ...recordBytes), topK);
    const fill = options.fill !== "off";
    if (fill) filler.start();
    if (options.fill === "wait") await waitUntilFilled(model, filler, hooks);
    report("ready");
    const { records } = model.store;
    kept.coldest = () => records.coldestOnDisk();
    const info = describe(file, model, tokenizer);
    void source.store?.describe(info.name, model.cache.pools * model.cache.experts);
    const size = { contextTokens, chunkTokens: plannedChunk(spec) };
    const history = new History((...tokens) => earliestReturn(spec, size, ...tokens));
    const lower = { ram: wanted.ram, disk: wanted.disk };
    const made = { source, file, spec, tokenizer, info, model, history, filler, fill, lower };
    const { name, reason } = runtime;
    return { ...made, runtime: { name, reason } };
  } catch (error) {
    filler?.stop();
    await model?.store.stop();
    model?.dispose();
    await source.close?.();
    throw error;
  }
}

async function loadModel(
  runtime: Runtime,
  opened: OpenedModel,
  options: ModelOptions,
  tuning: TuningPlace,
): Promise<RunningModel> {
  const { file, spec } = opened;
  if (runtime.name === "onnx") {
    const { onnx, threads, expandedBytes } = runtime;
    const memoryLimitBytes = deviceMemoryBytes() / 2;
    return OnnxModel.load(onnx, file, spec, {
      ...options,
      ...{ memoryLimitBytes, expandedBytes, threads },
    });
  }
  const { context } = runtime;
  const variants = await plannedVariants(context, opened, tuning);
  return GpuModel.load(context, file, spec, { ...options, variants });
}

async function waitUntilFilled(
  { cache, needs, store }: RunningModel,
  filler: Filler,
  { signal, onProgress }: LoadHooks,
): Promise<void> {
  const recordBytes = Math.max(0, ...needs.recordBytes);
  const slots = needs.recordBytes.reduce((sum, _, pool) => sum + cache.slotCount(pool), 0);
  const report = () =>
    onProgress({
      phase: "experts",
      loadedBytes: cache.readyCount * recordBytes,
      totalBytes: slots * recordBytes,
    });
  const timer = setInterval(report, PROGRESS_MS);
  const stop = () => {
    filler.stop();
    store.records.stop();
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await filler.slotsFilled();
    report();
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", stop);
  }
  throwIfAborted(signal, "Loading the model");
}

async function plannedVariants(
  context: GpuContext,
  { variants, file, spec, kvCache, accuracy }: OpenedModel,
  { tunings, runtime, tuningMs }: TuningPlace,
): Promise<VariantPlan> {
  const { adapterName, adapterClass, mostLanes } = context;
  const device = { adapterClass, mostLanes, leastSubgroup: await usableSubgroups(context) };
  const { pinned } = variants;
  const model = { file, spec, kvCache, accuracy };
  const key = tuningKey({ adapterName, device, runtime, ...model, pinned });
  return planVariants({ wanted: variants, device, tunings, key, tuningMs });
}

/** What is computed where `wanted` was asked for: exactly where the runtime cannot do otherwise. */
function usableAccuracy(runtime: Runtime, wanted: Accuracy): Accuracy {
  return runtime.name === "webgpu" ? accuracyOn(wanted, runtime.context) : DEFAULT_ACCURACY;
}

function describe(file: GgufFile, model: RunningModel, tokenizer: TextTokenizer): ModelInfo {
  const { spec, needs } = model;
  return {
    architecture: spec.architecture,
    name: file.metadata.optionalString("general.name") ?? file.source.name,
    layers: spec.layers,
    experts: needs.experts,
    topK: needs.topK,
    hidden: spec.hidden,
    vocab: tokenizer.vocab,
    bytes: file.source.bytes,
    contextTokens: model.contextTokens,
    kvCache: model.kvCache,
    kvCacheBytes: model.kvCacheBytes,
    accuracy: model.accuracy,
    expertBytes: Math.max(0, ...needs.recordBytes),
    allExpertBytes: model.expertPlan.expertBytes,
    hasChatTemplate: file.metadata.has("tokenizer.chat_template"),
    minGpuBudgetBytes: minBudgetBytes(needs),
    fullGpuBudgetBytes: fullBudgetBytes(needs),
  };
}
