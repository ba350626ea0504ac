import { SluiceError, throwIfAborted } from "../errors.ts";
import { type GgufFile, openGguf } from "../gguf/gguf.ts";
import { type GpuContext, openGpu } from "../gpu/device.ts";
import type { ModelSpec } from "../models/model.ts";
import { readModel } from "../models/registry.ts";
import type {
  Budget,
  EngineStats,
  ExpertMap,
  GenerateOptions,
  GenerateResult,
  LoadOptions,
  ModelInfo,
  Prompt,
  TokenChunk,
} from "../rpc/api.ts";
import { parseBudget } from "../scheduler/budget.ts";
import { blobSource } from "../storage/blob-source.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import { openHttpSource } from "../storage/http-source.ts";
import { memorySource } from "../storage/memory-source.ts";
import { createTokenizer, type TextTokenizer } from "../tokenizer/tokenizer.ts";
import { Filler } from "./filler.ts";
import { History } from "./history.ts";
import { LoadedModel } from "./model.ts";
import { readPrompt } from "./prompt.ts";
import { reply } from "./reply.ts";
import { readSettings } from "./settings.ts";
import { ReplyMeter } from "./stats.ts";
import type { Engine, EngineHost, EngineSource } from "./types.ts";

/** Longest context that is made unless asked for: a KV cache for more is seldom used and always paid. */
const DEFAULT_CONTEXT_TOKENS = 4096;

/**
 * An engine with no model yet. Owned by the caller, who calls `dispose`.
 *
 * @example
 * const engine = createEngine({ gpu: navigator.gpu });
 * await engine.load("https://example.com/model.gguf", {}, {});
 * for await (const chunk of engine.generate({ text: "Once upon a time" }, {})) show(chunk.text);
 */
export function createEngine(host: EngineHost): Engine {
  return new GpuEngine(host);
}

/** A model that is loaded, with everything that belongs to it. */
interface Session {
  readonly source: CountedSource;
  readonly file: GgufFile;
  readonly info: ModelInfo;
  readonly model: LoadedModel;
  readonly tokenizer: TextTokenizer;
  readonly history: History;
  readonly filler: Filler;
  readonly fill: boolean;
}

class GpuEngine implements Engine {
  readonly #host: EngineHost;
  #context: GpuContext | undefined;
  #session: Session | undefined;
  #meter: ReplyMeter | undefined;
  #state: "idle" | "loading" | "replying" | "disposed" = "idle";
  #budgetChanges: (() => Promise<void>)[] = [];

  constructor(host: EngineHost) {
    this.#host = host;
  }

  async load(
    from: EngineSource,
    options: LoadOptions,
    hooks: Parameters<Engine["load"]>[2],
  ): Promise<ModelInfo> {
    this.#enter("loading", "load a model");
    try {
      return await this.#load(from, options, hooks);
    } finally {
      this.#leave();
    }
  }

  async *generate(
    prompt: Prompt,
    options: GenerateOptions,
    signal?: AbortSignal,
  ): AsyncGenerator<TokenChunk, GenerateResult> {
    const session = this.#loaded("start a reply");
    const settings = readSettings(options);
    const promptTokens = readPrompt(prompt, {
      tokenizer: session.tokenizer,
      metadata: session.file.metadata,
      vocab: session.model.spec.vocab,
      contextTokens: session.model.contextTokens,
    });
    this.#enter("replying", "start a reply");
    const meter = new ReplyMeter(session, promptTokens.length);
    this.#meter = meter;
    try {
      const result = yield* reply({
        ...session,
        settings,
        promptTokens,
        signal,
        beforePass: () => this.#changeBudgets(),
        onPrefilled: () => meter.prefilled(),
        onToken: () => meter.token(),
      });
      meter.end();
      return { ...result, stats: this.stats() };
    } finally {
      meter.end();
      this.#leave();
      await this.#changeBudgets();
    }
  }

  async setBudget(budget: { readonly gpu: Budget }): Promise<{ readonly gpuBudgetBytes: number }> {
    const session = this.#loaded("change the budget");
    const parsed = parseBudget(budget.gpu);
    const change = async () => {
      await session.filler.stop();
      await session.model.store.settled();
      try {
        await session.model.setBudget(parsed);
      } finally {
        if (session.fill) session.filler.start();
      }
    };
    await new Promise<void>((resolve, reject) => {
      this.#budgetChanges.push(() => change().then(resolve, reject));
      if (this.#state === "idle") void this.#changeBudgets();
    });
    return { gpuBudgetBytes: session.model.budgetBytes };
  }

  stats(): EngineStats {
    const session = this.#loaded("read stats");
    const meter = this.#meter ?? new ReplyMeter(session, 0);
    return meter.stats(this.#context!);
  }

  expertMap(): ExpertMap {
    const { model } = this.#loaded("read the expert map");
    const { state, uses } = model.cache.snapshot();
    return { layers: model.cache.pools, experts: model.cache.experts, state, uses };
  }

  tokenize(text: string): readonly number[] {
    return this.#loaded("tokenize").tokenizer.encode(text, { addBos: false, parseSpecial: false });
  }

  async dispose(): Promise<void> {
    this.#state = "disposed";
    await this.#unload();
    this.#context?.dispose();
    this.#context = undefined;
  }

  async #load(
    from: EngineSource,
    options: LoadOptions,
    { signal, onProgress = () => {} }: Parameters<Engine["load"]>[2],
  ): Promise<ModelInfo> {
    const budget = parseBudget(options.gpuBudget ?? "100%");
    const what = "Loading the model";
    await this.#unload();
    onProgress({ phase: "device", loadedBytes: 0, totalBytes: 0 });
    const context = await this.#open();
    onProgress({ phase: "header", loadedBytes: 0, totalBytes: 0 });
    const source = await openSource(from, signal);
    try {
      const file = await openGguf(source, { signal });
      const spec = readModel({
        metadata: file.metadata,
        shape: (name) => file.tensors.get(name)?.shape,
      });
      const tokenizer = createTokenizer(file.metadata);
      const contextTokens = readContext(options.contextTokens, spec);
      throwIfAborted(signal, what);
      const totalBytes = spec.resident.reduce(
        (sum, { name }) => sum + (file.tensors.get(name)?.bytes ?? 0),
        0,
      );
      let loadedBytes = 0;
      const model = await LoadedModel.load(context, file, spec, {
        budget,
        contextTokens,
        variants: chooseVariants(options.variants, context),
        signal,
        onBytes(bytes) {
          loadedBytes = Math.min(totalBytes, loadedBytes + bytes);
          onProgress({ phase: "weights", loadedBytes, totalBytes });
        },
        onRecording: () => onProgress({ phase: "pipelines", loadedBytes: totalBytes, totalBytes }),
      });
      const filler = new Filler(model.cache, model.store);
      const fill = options.fill !== "off";
      const info = describe(file, model, tokenizer);
      this.#session = {
        source,
        file,
        info,
        model,
        tokenizer,
        history: new History(),
        filler,
        fill,
      };
      if (fill) filler.start();
      if (options.fill === "wait") await this.#filled(this.#session, signal, onProgress);
      onProgress({ phase: "ready", loadedBytes: totalBytes, totalBytes });
      return info;
    } catch (error) {
      await this.#unload();
      await source.close?.();
      throw error;
    }
  }

  async #filled(
    { model, filler }: Session,
    signal: AbortSignal | undefined,
    onProgress: NonNullable<Parameters<Engine["load"]>[2]["onProgress"]>,
  ): Promise<void> {
    const { cache, needs } = model;
    const recordBytes = needs.recordBytes[0] ?? 0;
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

  /** The device, opened again if it was lost. */
  async #open(): Promise<GpuContext> {
    if (this.#context) return this.#context;
    const context = await openGpu(this.#host.gpu);
    void context.lost.then(() => {
      if (this.#context === context) this.#context = undefined;
    });
    this.#context = context;
    return context;
  }

  async #unload(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#meter = undefined;
    if (!session) return;
    await session.filler.stop();
    await session.model.store.settled();
    session.model.dispose();
    await session.source.close?.();
  }

  async #changeBudgets(): Promise<void> {
    for (let change = this.#budgetChanges.shift(); change; change = this.#budgetChanges.shift()) {
      await change();
    }
  }

  #loaded(wanted: string): Session {
    if (this.#session && this.#state !== "disposed") return this.#session;
    throw new SluiceError(
      "engine-state",
      this.#state === "disposed"
        ? `Cannot ${wanted}: the engine was disposed. Make a new one.`
        : `Cannot ${wanted}: no model is loaded. Call load() and wait for it first.`,
    );
  }

  #enter(state: "loading" | "replying", wanted: string): void {
    if (this.#state === "idle") {
      this.#state = state;
      return;
    }
    const reasons = {
      loading: "a model is being loaded. Wait for it or abort it",
      replying: "a reply is running. Read it to its end or abort it",
      disposed: "the engine was disposed. Make a new one",
    };
    throw new SluiceError("engine-state", `Cannot ${wanted}: ${reasons[this.#state]}.`);
  }

  #leave(): void {
    if (this.#state !== "disposed") this.#state = "idle";
  }
}

/** How often progress is told while slots are filled. */
const PROGRESS_MS = 100;

function chooseVariants(
  wanted: LoadOptions["variants"],
  context: GpuContext,
): "serial" | "workgroup" {
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

/** A source that says how much of what it brought came from where. */
export interface CountedSource extends ByteSource {
  readonly kind: "network" | "disk" | "memory";
  /** Bytes brought so far. */
  readonly received: number;
}

async function openSource(
  from: EngineSource,
  signal: AbortSignal | undefined,
): Promise<CountedSource> {
  if (typeof from === "string") {
    const source = await openHttpSource(from, { signal });
    return Object.assign(source, { kind: "network" as const });
  }
  if (from instanceof Blob) return counted(blobSource(from), "disk");
  if (from instanceof ArrayBuffer || ArrayBuffer.isView(from)) {
    return counted(memorySource(from as ArrayBuffer | Uint8Array), "memory");
  }
  return counted(from, "disk");
}

function counted(source: ByteSource, kind: CountedSource["kind"]): CountedSource {
  let received = 0;
  return {
    name: source.name,
    bytes: source.bytes,
    kind,
    get received() {
      return received;
    },
    async read(offset, length, options) {
      const bytes = await source.read(offset, length, options);
      received += length;
      return bytes;
    },
    async close() {
      await source.close?.();
    },
  };
}
