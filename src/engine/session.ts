import { SluiceError, throwIfAborted } from "../errors.ts";
import {
  DEFAULT_EVICTION_POLICY,
  type EvictionPolicyName,
  evictionPolicies,
} from "../experts/policies/registry.ts";
import { predictors } from "../experts/predictors/registry.ts";
import {
  type CacheFormatName,
  cacheFormats,
  DEFAULT_CACHE_FORMAT,
} from "../formats/cache/registry.ts";
import {
  type Accuracy,
  accuracies,
  accuracyOn,
  DEFAULT_ACCURACY,
} from "../formats/input/registry.ts";
import { type GgufFile, openGguf } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { ModelSpec } from "../models/model.ts";
import { type ModelRules, modelRules } from "../models/model.ts";
import { readModel } from "../models/registry.ts";
import type { Budget, LoadOptions, LoadProgress, ModelInfo, RuntimeReport } from "../rpc/api.ts";
import {
  bytesOfBudget,
  fullBudgetBytes,
  minBudgetBytes,
  type ParsedBudget,
  parseBudget,
} from "../scheduler/budget.ts";
import { DEFAULT_PACING, type PacingName, pacingRules } from "../scheduler/pacing/registry.ts";
import type { SpeculationName } from "../speculation/registry.ts";
import type { RecordStore } from "../storage/store/record-store.ts";
import { createTokenizer, type TextTokenizer } from "../tokenizer/tokenizer.ts";
import { plannedChunk } from "./chunks.ts";
import type { ExpertPlan } from "./expert-memory.ts";
import { Filler } from "./filler.ts";
import { GpuModel } from "./gpu-model.ts";
import { History } from "./history.ts";
import { earliestReturn } from "./kv-cache.ts";
import type { ModelOptions, RunningModel } from "./model.ts";
import { OnnxModel } from "./onnx/onnx-model.ts";
import { choosePredictor, type PredictorChoice } from "./prefetch.ts";
import { expertOf } from "./records.ts";
import type { Runtime } from "./runtime.ts";
import { type CountedSource, openSource } from "./source.ts";
import { checkDrafter, readSpeculation, wantsAhead } from "./speculation/speculation.ts";
import { tuningKey } from "./tuning/key.ts";
import { planVariants, type VariantPlan } from "./tuning/plan.ts";
import { usableSubgroups } from "./tuning/subgroup-check.ts";
import { readWantedVariants, type WantedVariants } from "./tuning/wanted.ts";
import type { EngineSource, TuningPlace } from "./types.ts";

/** Longest context that is made unless asked for: a KV cache for more is seldom used and always paid. */
const DEFAULT_CONTEXT_TOKENS = 4096;

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

/** Options that say how the experts' memory is run, read and found possible. */
export interface WantedMemory {
  /** Undefined: as much as there is room for. */
  readonly gpu: ParsedBudget | undefined;
  readonly ram: ParsedBudget | undefined;
  readonly disk: ParsedBudget | undefined;
  readonly policy: EvictionPolicyName;
  readonly predictor: PredictorChoice;
  readonly pacing: PacingName;
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

/** Budgets as they are given, each undefined where there is none. Throws "bad-input". */
export function readBudgets<Tier extends string>(
  budgets: Readonly<Record<Tier, Budget | undefined>>,
): Record<Tier, ParsedBudget | undefined> {
  const entries = Object.entries<Budget | undefined>(budgets);
  const parsed = entries.map(([tier, budget]) => [
    tier,
    budget === undefined ? undefined : parseBudget(budget),
  ]);
  return Object.fromEntries(parsed) as Record<Tier, ParsedBudget | undefined>;
}

/** A choice from each registry. Throws "bad-input" for what is in none, or does not fit the model. */
function readPolicies(
  { policy = DEFAULT_EVICTION_POLICY, pacing = DEFAULT_PACING, predictor = "auto" }: LoadOptions,
  spec: ModelSpec,
): Pick<WantedMemory, "policy" | "predictor" | "pacing"> {
  expectOneOf("policy", policy, Object.keys(evictionPolicies));
  expectOneOf("pacing", pacing, Object.keys(pacingRules));
  expectOneOf("predictor", predictor, ["auto", "none", ...Object.keys(predictors)]);
  const routerInput = spec.moe[0]?.routerInput ?? "post-attention";
  return { policy, pacing, predictor: choosePredictor(predictor, routerInput) };
}

function expectOneOf(option: string, got: string, known: readonly string[]): void {
  if (known.includes(got)) return;
  throw new SluiceError(
    "bad-input",
    `${option} is "${got}"; it must be one of ${known.join(", ")}.`,
  );
}

/**
 * Bytes that records may take of RAM. Unless asked for, nothing when the GPU holds all experts, otherwise all of them as
 * far as the device's memory allows.
 */
export function ramBudgetBytes(budget: ParsedBudget | undefined, plan: ExpertPlan): number {
  if (budget) return bytesOfBudget(budget, plan.expertBytes);
  if (plan.gpuExpertBytes >= plan.expertBytes) return 0;
  return Math.min(plan.expertBytes, deviceMemoryBytes() / 4);
}

/**
 * Bytes that a model may take on disk in all. A share is of its experts; what every token needs, and the header, come
 * on top of that.
 */
function storeBudgetBytes(budget: ParsedBudget | undefined): number {
  return budget?.kind === "bytes" ? budget.bytes : Number.POSITIVE_INFINITY;
}

/** Bytes that records may take on disk: what is left of a budget in bytes once the other pieces are there. */
export function diskBudgetBytes(
  budget: ParsedBudget | undefined,
  plan: ExpertPlan,
  store: RecordStore | undefined,
): number {
  if (!store) return 0;
  if (budget?.kind !== "bytes") return Math.floor((budget?.share ?? 1) * plan.expertBytes);
  let others = 0;
  for (const key of store.keys()) if (!expertOf(key)) others += store.bytesOf(key) ?? 0;
  return Math.max(0, budget.bytes - others);
}

/**
 * What the browser tells of the device's memory: a hint, capped and rounded; an assumption where it tells nothing, or
 * where there is no `navigator` (Node 20).
 */
function deviceMemoryBytes(): number {
  const { deviceMemory = 4 } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  return deviceMemory * 1e9;
}

/** Throws "bad-input" for rules that nobody has. */
function readRules(wanted: ModelRules = "published"): ModelRules {
  if (modelRules.includes(wanted)) return wanted;
  throw new SluiceError(
    "bad-input",
    `rules is ${JSON.stringify(wanted)}; it must be one of ${modelRules.join(", ")}.`,
  );
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

function readContext(wanted: number | undefined, spec: ModelSpec): number {
  if (wanted === undefined) return Math.min(spec.contextTokens, DEFAULT_CONTEXT_TOKENS);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > spec.contextTokens) {
    throw new SluiceError(
      "bad-input",
      `contextTokens is ${wanted}; this model takes a whole number from 1 to ${spec.contextTokens}.`,
    );
  }
  return wanted;
}

/** Throws "bad-input" for what is in no registry. */
function readKvCache(wanted: CacheFormatName = DEFAULT_CACHE_FORMAT): CacheFormatName {
  expectOneOf("kvCache", wanted, Object.keys(cacheFormats));
  return wanted;
}

/** Throws "bad-input" for an accuracy that does not exist. */
function readAccuracy(wanted: Accuracy = DEFAULT_ACCURACY): Accuracy {
  expectOneOf("accuracy", wanted, Object.keys(accuracies));
  return wanted;
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
