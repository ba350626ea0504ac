import { SluiceError } from "../errors.ts";
import { type GpuContext, openGpu } from "../gpu/device.ts";
import type {
  BudgetBytes,
  Budgets,
  EngineProfile,
  EngineStats,
  ExpertMap,
  GenerateOptions,
  GenerateResult,
  LoadOptions,
  ModelInfo,
  ProfileOptions,
  Prompt,
  ScoreResult,
  TokenChunk,
  VariantReport,
} from "../rpc/api.ts";
import {
  deleteStored,
  listStored,
  persistStorage,
  verifyStored,
} from "../storage/store/manager.ts";
import { readBudgets } from "./load-options.ts";
import { readPrompt } from "./prompt.ts";
import { reply } from "./reply.ts";
import { chooserOf } from "./reply-block.ts";
import { chooseRuntime } from "./runtime.ts";
import { checkScored, scoreTokens } from "./score.ts";
import { createSession, openModel, type Session } from "./session.ts";
import { readSettings } from "./settings.ts";
import { ReplyMeter } from "./stats.ts";
import { diskBudgetBytes, ramBudgetBytes } from "./tier-budgets.ts";
import { KeptTunings } from "./tuning/kept.ts";
import type { Engine, EngineHost, EngineSource, TuningPlace } from "./types.ts";

/** A first visitor waits that much longer, once. */
const TUNING_MS = 2000;

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

class GpuEngine implements Engine {
  readonly #host: EngineHost;
  readonly #tuning: TuningPlace;
  #context: GpuContext | undefined;
  #session: Session | undefined;
  #meter: ReplyMeter | undefined;
  #state: "idle" | "loading" | "replying" | "scoring" | "profiling" | "disposed" = "idle";
  #slotsInUse: Promise<void> = Promise.resolve();

  constructor(host: EngineHost) {
    this.#host = host;
    const runtime = host.runtime ?? globalThis.navigator?.userAgent ?? "unknown runtime";
    const { tuningMs = TUNING_MS } = host;
    this.#tuning = { tunings: new KeptTunings(host.tunings), runtime, tuningMs };
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
    const speculation = session.model.speculation.choose(
      settings.speculation,
      chooserOf(settings.sampler, session.model.spec.vocab) === "top",
    );
    this.#enter("replying", "start a reply");
    const meter = new ReplyMeter(session, promptTokens.length);
    meter.speculates(speculation);
    this.#meter = meter;
    session.filler.makeWay(promptTokens.length);
    try {
      const result = yield* reply({
        ...session,
        settings,
        speculation,
        promptTokens,
        signal,
        exclusive: (pass) => this.#pass(session, pass),
        onPrefilled: () => {
          meter.prefilled();
          session.filler.resume();
        },
        onToken: () => meter.token(),
      });
      meter.end();
      return { ...result, stats: this.stats() };
    } finally {
      meter.end();
      session.filler.resume();
      this.#leave();
    }
  }

  async score(tokens: readonly number[], signal?: AbortSignal): Promise<ScoreResult> {
    const session = this.#loaded("score tokens");
    checkScored(tokens, session.model);
    this.#enter("scoring", "score tokens");
    const meter = new ReplyMeter(session, tokens.length);
    this.#meter = meter;
    session.filler.makeWay(tokens.length);
    try {
      const logprobs = await scoreTokens(tokens, {
        ...session,
        signal,
        exclusive: (pass) => this.#pass(session, pass),
      });
      meter.end();
      return { logprobs, stats: this.stats() };
    } finally {
      meter.end();
      session.filler.resume();
      this.#leave();
    }
  }

  async setBudget(budgets: Budgets): Promise<BudgetBytes> {
    const session = this.#loaded("change the budget");
    const { gpu, ram, disk } = readBudgets({
      gpu: budgets.gpu,
      ram: budgets.ram,
      disk: budgets.disk,
    });
    const { model, lower, filler } = session;
    const { records } = model.store;
    await this.#exclusive(async () => {
      if (this.#session !== session) return;
      filler.stop();
      try {
        if (gpu) {
          await model.land();
          await model.store.stop();
          await model.setBudget(gpu);
        }
        lower.ram = ram ?? lower.ram;
        lower.disk = disk ?? lower.disk;
        await records.setBudget("ram", ramBudgetBytes(lower.ram, model.expertPlan));
        if (disk) {
          const { store } = session.source;
          await records.setBudget("disk", diskBudgetBytes(disk, model.expertPlan, store));
          if (disk.kind === "bytes") await store?.setBudget(disk.bytes);
        }
      } finally {
        if (session.fill) filler.start();
      }
    });
    return {
      gpuBudgetBytes: model.budgetBytes,
      ramBudgetBytes: records.tiers.budgetBytes("ram"),
      diskBudgetBytes: records.tiers.budgetBytes("disk"),
    };
  }

  stats(): EngineStats {
    const session = this.#loaded("read stats");
    const meter = this.#meter ?? new ReplyMeter(session, 0);
    return meter.stats();
  }

  async profile(options: ProfileOptions = {}): Promise<EngineProfile> {
    const session = this.#loaded("profile");
    this.#enter("profiling", "profile");
    // Loads would be timed along with the kernels.
    session.filler.makeWay(0);
    try {
      return await this.#pass(session, () => session.model.profile(options));
    } finally {
      session.history.clear();
      session.filler.resume();
      this.#leave();
    }
  }

  expertMap(): ExpertMap {
    const { spec, cache, store, prefetch } = this.#loaded("read the expert map").model;
    const ofPool = (pool: number) => spec.moe.find((moe) => moe.pool === pool)!.layer;
    return {
      layers: cache.pools,
      layerNumbers: Array.from({ length: cache.pools }, (_, pool) => ofPool(pool)),
      experts: cache.experts,
      ...cache.snapshot(),
      below: store.records.snapshot(),
      prefetched: prefetch.unused(),
    };
  }

  variants(): VariantReport {
    return this.#loaded("read its variants").model.variants;
  }

  clearTuning(): Promise<void> {
    return this.#tuning.tunings.clear();
  }

  tokenize(text: string): readonly number[] {
    return this.#loaded("tokenize").tokenizer.encode(text, { addBos: false, parseSpecial: false });
  }

  listStored = listStored;
  verifyStored = verifyStored;
  deleteStored = deleteStored;
  persistStorage = persistStorage;

  async dispose(): Promise<void> {
    this.#state = "disposed";
    await this.#unload();
    this.#closeGpu();
  }

  async #load(
    from: EngineSource,
    options: LoadOptions,
    { signal, onProgress = () => {} }: Parameters<Engine["load"]>[2],
  ): Promise<ModelInfo> {
    onProgress({ phase: "device", loadedBytes: 0, totalBytes: 0 });
    const runtime = await chooseRuntime({
      ...options,
      host: this.#host,
      open: () => this.#open(),
    });
    onProgress({ phase: "header", loadedBytes: 0, totalBytes: 0 });
    // A file that cannot be used is found out here, while the model before it is still there.
    const opened = await openModel(from, options, runtime.name, signal);
    await this.#unload();
    if (runtime.name !== "webgpu") this.#closeGpu();
    this.#session = await createSession(runtime, opened, options, this.#tuning, {
      signal,
      onProgress,
    });
    return this.#session.info;
  }

  /** The device, opened again if it was lost. */
  async #open(): Promise<GpuContext> {
    if (this.#context) return this.#context;
    const context = await openGpu(this.#host.gpu, this.#host.maxBufferBytes);
    void context.lost.then(() => {
      if (this.#context === context) this.#context = undefined;
    });
    this.#context = context;
    return context;
  }

  #closeGpu(): void {
    this.#context?.dispose();
    this.#context = undefined;
  }

  async #unload(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    this.#meter = undefined;
    if (!session) return;
    await this.#exclusive(async () => {
      session.filler.stop();
      await session.model.store.stop();
      await session.model.store.records.written();
      session.model.dispose();
      await session.source.close?.();
    });
  }

  /** Runs a pass of `session`'s model while no budget is being changed. */
  #pass<Result>(session: Session, pass: () => Promise<Result>): Promise<Result> {
    return this.#exclusive(() => {
      if (this.#session === session) return pass();
      throw new SluiceError("engine-state", "The engine was disposed while it was computing.");
    });
  }

  /** Runs `work` when nothing else that uses or changes the slots is under way: passes and changes of the budget. */
  #exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#slotsInUse.then(work);
    this.#slotsInUse = done.then(
      () => {},
      () => {},
    );
    return done;
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

  #enter(state: "loading" | "replying" | "scoring" | "profiling", wanted: string): void {
    if (this.#state === "idle") {
      this.#state = state;
      return;
    }
    const reasons = {
      loading: "a model is being loaded. Wait for it or abort it",
      replying: "a reply is running. Read it to its end or abort it",
      scoring: "tokens are being scored. Wait for that or abort it",
      profiling: "kernels are being timed. Wait for that",
      disposed: "the engine was disposed. Make a new one",
    };
    throw new SluiceError("engine-state", `Cannot ${wanted}: ${reasons[this.#state]}.`);
  }

  #leave(): void {
    if (this.#state !== "disposed") this.#state = "idle";
  }
}
