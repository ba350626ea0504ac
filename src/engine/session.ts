import { SluiceError, throwIfAborted } from "../errors.ts";
import { type GgufFile, openGguf } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { VariantName } from "../kernels/parts.ts";
import type { ModelSpec } from "../models/model.ts";
import { readModel } from "../models/registry.ts";
import type { LoadOptions, LoadProgress, ModelInfo } from "../rpc/api.ts";
import { type ParsedBudget, parseBudget } from "../scheduler/budget.ts";
import { createTokenizer, type TextTokenizer } from "../tokenizer/tokenizer.ts";
import { Filler } from "./filler.ts";
import { History } from "./history.ts";
import { LoadedModel } from "./model.ts";
import { type CountedSource, openSource } from "./source.ts";
import type { EngineSource } from "./types.ts";

/** Longest context that is made unless asked for: a KV cache for more is seldom used and always paid. */
const DEFAULT_CONTEXT_TOKENS = 4096;

/** How often progress is told while slots are filled. */
const PROGRESS_MS = 100;

/** A file whose header was read and found to be a model that can be run. */
export interface OpenedModel {
  readonly source: CountedSource;
  readonly file: GgufFile;
  readonly spec: ModelSpec;
  readonly tokenizer: TextTokenizer;
  readonly contextTokens: number;
  readonly budget: ParsedBudget;
}

/** A model that is loaded, with everything that belongs to it. Owned by the engine. */
export interface Session extends Omit<OpenedModel, "contextTokens" | "budget"> {
  readonly context: GpuContext;
  readonly info: ModelInfo;
  readonly model: LoadedModel;
  readonly history: History;
  readonly filler: Filler;
  /** Whether empty slots are filled in the background. */
  readonly fill: boolean;
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
  signal: AbortSignal | undefined,
): Promise<OpenedModel> {
  const budget = parseBudget(options.gpuBudget ?? "100%");
  const source = await openSource(from, signal);
  try {
    const file = await openGguf(source, { signal });
    const spec = readModel({
      metadata: file.metadata,
      shape: (name) => file.tensors.get(name)?.shape,
    });
    const tokenizer = createTokenizer(file.metadata);
    const contextTokens = readContext(options.contextTokens, spec);
    throwIfAborted(signal, "Loading the model");
    return { source, file, spec, tokenizer, contextTokens, budget };
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** Puts an opened model on the GPU. Throws as `LoadedModel.load`; the source is closed then. */
export async function createSession(
  context: GpuContext,
  opened: OpenedModel,
  options: LoadOptions,
  hooks: LoadHooks,
): Promise<Session> {
  const { source, file, spec, tokenizer, contextTokens, budget } = opened;
  const totalBytes = spec.resident.reduce(
    (sum, { name }) => sum + (file.tensors.get(name)?.bytes ?? 0),
    0,
  );
  let loadedBytes = 0;
  const report = (phase: LoadProgress["phase"]) =>
    hooks.onProgress({ phase, loadedBytes, totalBytes });
  let model: LoadedModel | undefined;
  let filler: Filler | undefined;
  try {
    model = await LoadedModel.load(context, file, spec, {
      budget,
      contextTokens,
      variants: chooseVariants(options.variants, context),
      signal: hooks.signal,
      onBytes(bytes) {
        loadedBytes = Math.min(totalBytes, loadedBytes + bytes);
        report("weights");
      },
      onRecording: () => report("pipelines"),
    });
    filler = new Filler(model.cache, model.store);
    const fill = options.fill !== "off";
    if (fill) filler.start();
    if (options.fill === "wait") await waitUntilFilled(model, filler, hooks);
    report("ready");
    const info = describe(file, model, tokenizer);
    const history = new History();
    return { context, source, file, spec, tokenizer, info, model, history, filler, fill };
  } catch (error) {
    await filler?.stop();
    await model?.store.settled();
    model?.dispose();
    await source.close?.();
    throw error;
  }
}

async function waitUntilFilled(
  { cache, needs }: LoadedModel,
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
  const stop = () => void filler.stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await filler.done();
    report();
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", stop);
  }
  throwIfAborted(signal, "Loading the model");
}

function chooseVariants(wanted: LoadOptions["variants"], context: GpuContext): VariantName {
  if (wanted && wanted !== "auto") return wanted;
  return context.software ? "serial" : "workgroup";
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

function describe(file: GgufFile, model: LoadedModel, tokenizer: TextTokenizer): ModelInfo {
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
    expertBytes: Math.max(0, ...needs.recordBytes),
    hasChatTemplate: file.metadata.has("tokenizer.chat_template"),
    minGpuBudgetBytes: model.minBudgetBytes,
    fullGpuBudgetBytes: model.fullBudgetBytes,
  };
}
