/// <reference lib="esnext.disposable" preserve="true" />
import { type Endpoint, releaseProxy, wrap } from "comlink";
import { SluiceError, throwIfAborted } from "../errors.ts";
import type {
  BudgetBytes,
  Budgets,
  EngineProfile,
  EngineStats,
  ExpertMap,
  GenerateOptions,
  LoadOptions,
  LoadProgress,
  ModelInfo,
  ModelSource,
  ProfileOptions,
  Prompt,
  ReplyStep,
  ScoreResult,
  StorageReport,
  VariantReport,
  VerifyReport,
  WorkerApi,
} from "./api.ts";
import { installErrorTransfer } from "./errors.ts";
import { createLifeline } from "./lifeline.ts";
import { progressListener } from "./progress.ts";
import { createReply, type Reply } from "./reply.ts";
import { toWireFolder, toWireSource } from "./source.ts";

/** A `Worker`, or anything that passes messages to one, such as a `MessagePort`. */
export interface WorkerEndpoint extends Endpoint {
  /** Ends the worker at once. */
  terminate?(): void;
}

/** How to connect. */
export interface ConnectOptions {
  /** How long the worker may take to answer for the first time. Default 60,000. */
  readonly timeoutMs?: number;
}

/** {@link LoadOptions}, and what stays on the page. */
export interface LoadCallOptions extends LoadOptions {
  /** Stops loading, which then rejects with "aborted". */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** {@link GenerateOptions}, and what stays on the page. */
export interface GenerateCallOptions extends GenerateOptions {
  /** Stops the reply between two tokens; it then ends with finish reason `aborted`. */
  readonly signal?: AbortSignal;
}

/** How tokens are scored. */
export interface ScoreCallOptions {
  /** Stops scoring, which then rejects with "aborted". */
  readonly signal?: AbortSignal;
}

/** An engine in a worker. Every failure is a `SluiceError`; when the worker dies, all calls reject with "worker-died". */
export interface EngineClient {
  /**
   * Loads a model, in place of the one that was loaded. A relative URL is the page's. Bytes are copied: give a `Blob`
   * for a large file. See `Engine.load` for the codes.
   */
  load(source: ModelSource, options?: LoadCallOptions): Promise<ModelInfo>;
  /** A reply to text, token ids or a conversation. See `Engine.generate` for the codes. */
  generate(prompt: string | Prompt, options?: GenerateCallOptions): Reply;
  /**
   * How probable the model finds each of `tokens` but the first, given those before it. No token is added: see
   * `tokenize`. See `Engine.score` for the codes.
   */
  score(tokens: readonly number[], options?: ScoreCallOptions): Promise<ScoreResult>;
  /** Name of the model that was loaded last; undefined before. */
  modelName(): string | undefined;
  /** Changes the budgets that are named, also during a reply. */
  setBudget(budgets: Budgets): Promise<BudgetBytes>;
  stats(): Promise<EngineStats>;
  /** Where the time of a token and of a prefill chunk goes, kernel by kernel. See `Engine.profile` for the codes. */
  profile(options?: ProfileOptions): Promise<EngineProfile>;
  expertMap(): Promise<ExpertMap>;
  /** Which kernel variants the loaded model runs with, and why. */
  variants(): Promise<VariantReport>;
  /** Forgets which kernel variants were found to be fastest: the next load times them again. */
  clearTuning(): Promise<void>;
  tokenize(text: string): Promise<readonly number[]>;
  /** The models that this site keeps on disk. */
  listStored(): Promise<StorageReport>;
  /** Reads what is kept of a model and drops what is damaged. Throws "not-found". */
  verifyStored(id: string): Promise<VerifyReport>;
  /** Deletes what is kept of a model. Throws "not-found", and "engine-state" while any tab has it loaded. */
  deleteStored(id: string): Promise<void>;
  /** Asks the browser not to clear this site's storage by itself; whether it agreed. */
  persistStorage(): Promise<boolean>;
  /** Frees everything and ends the worker. Later calls reject with "engine-state". */
  dispose(): Promise<void>;
  /** Ends the worker at once, whatever it does: calls that wait reject with "worker-died". */
  terminate(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Waits for the worker's first answer. Throws "worker-died". */
export async function connectWorker(
  worker: WorkerEndpoint,
  options: ConnectOptions = {},
): Promise<EngineClient> {
  installErrorTransfer();
  const lifeline = createLifeline(worker);
  const remote = wrap<WorkerApi>(worker);
  let lastCall = 0;
  let modelName: string | undefined;
  await lifeline.within(options.timeoutMs ?? 60_000, () => remote.hello());

  function cancel(call: number): void {
    lifeline.run(() => remote.cancel(call)).catch(() => {}); // a dead worker has nothing to cancel
  }

  /** What `start` answers; its call is cancelled when `signal` fires. */
  async function cancellable<Result>(
    signal: AbortSignal | undefined,
    what: string,
    start: (call: number) => Promise<Result>,
  ): Promise<Result> {
    throwIfAborted(signal, what);
    const call = ++lastCall;
    const onAbort = () => cancel(call);
    try {
      const running = lifeline.run(() => start(call));
      signal?.addEventListener("abort", onAbort);
      return await running;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async function load(source: ModelSource, options: LoadCallOptions = {}): Promise<ModelInfo> {
    const { signal, onProgress, onnxFolder, ...rest } = options;
    const wire = toWireSource(source);
    const plain = { ...rest, ...(onnxFolder && { onnxFolder: toWireFolder(onnxFolder) }) };
    const model = await cancellable(signal, "Loading", (call) =>
      remote.load(call, wire, plain, onProgress && progressListener(onProgress)),
    );
    modelName = model.name;
    return model;
  }

  function generate(prompt: string | Prompt, options: GenerateCallOptions = {}): Reply {
    const { signal, ...rest } = options;
    const call = ++lastCall;
    const wire = typeof prompt === "string" ? { text: prompt } : prompt;
    const source = {
      start: () => lifeline.run(() => remote.generate(call, wire, rest)),
      next: () => lifeline.run<ReplyStep>(() => remote.next(call)),
      cancel: () => cancel(call),
    };
    return createReply(source, signal);
  }

  /** Browsers let a page ask, and no worker. */
  async function persistStorage(): Promise<boolean> {
    const agreed = await globalThis.navigator?.storage?.persist?.();
    return agreed ?? lifeline.run(() => remote.persistStorage());
  }

  async function dispose(): Promise<void> {
    if (lifeline.ended()) return;
    await lifeline.run(() => remote.dispose());
    remote[releaseProxy]();
    lifeline.end(
      new SluiceError("engine-state", "This engine was disposed. Connect to a new worker."),
    );
  }

  return {
    load,
    generate,
    score: (tokens, { signal } = {}) =>
      cancellable(signal, "Scoring", (call) => remote.score(call, tokens)),
    modelName: () => modelName,
    setBudget: (budgets) => lifeline.run(() => remote.setBudget(budgets)),
    stats: () => lifeline.run(() => remote.stats()),
    profile: (options = {}) => lifeline.run(() => remote.profile(options)),
    expertMap: () => lifeline.run(() => remote.expertMap()),
    variants: () => lifeline.run(() => remote.variants()),
    clearTuning: () => lifeline.run(() => remote.clearTuning()),
    tokenize: (text) => lifeline.run(() => remote.tokenize(text)),
    listStored: () => lifeline.run(() => remote.listStored()),
    verifyStored: (id) => lifeline.run(() => remote.verifyStored(id)),
    deleteStored: (id) => lifeline.run(() => remote.deleteStored(id)),
    persistStorage,
    dispose,
    terminate: () => lifeline.end(new SluiceError("worker-died", "The worker was terminated.")),
    [Symbol.asyncDispose]: dispose,
  };
}
