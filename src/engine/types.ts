import type {
  BudgetBytes,
  Budgets,
  EngineProfile,
  EngineStats,
  ExpertMap,
  GenerateOptions,
  GenerateResult,
  LoadOptions,
  LoadProgress,
  ModelInfo,
  ProfileOptions,
  Prompt,
  ScoreResult,
  StorageReport,
  TokenChunk,
  VariantReport,
  VerifyReport,
} from "../rpc/api.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import type { TextFile } from "../storage/text-file.ts";
import type { ThreadPort } from "./onnx/experts/messages.ts";
import type { KeptTunings } from "./tuning/kept.ts";

/**
 * What an engine opens a model from: a URL, a `Blob`, the files of a split model, bytes, or any source that can be read
 * at an offset.
 */
export type EngineSource = string | Blob | readonly Blob[] | ArrayBuffer | ByteSource;

/** The engine, as the worker and the command drive it. One model at a time, one reply or score at a time. */
export interface Engine {
  /**
   * Loads a model, in place of the one that was loaded.
   * Throws "no-adapter", "missing-feature", "not-found", "network", "bad-file", "truncated-file", "unsupported-model",
   * "unsupported-format", "unsupported-tokenizer", "budget-too-small", "out-of-memory", "aborted".
   */
  load(
    source: EngineSource,
    options: LoadOptions,
    hooks: {
      readonly signal?: AbortSignal;
      readonly onProgress?: (progress: LoadProgress) => void;
    },
  ): Promise<ModelInfo>;
  /**
   * Streams a reply. Stops between tokens when `signal` fires, and then returns what there is with finish reason
   * `aborted`. Throws "bad-input", "context-full", "engine-state", "device-lost", "gpu-error".
   */
  generate(
    prompt: Prompt,
    options: GenerateOptions,
    signal?: AbortSignal,
  ): AsyncGenerator<TokenChunk, GenerateResult>;
  /**
   * The log-probability of each token but the first, given those before it: no token is added, and the conversation
   * before is forgotten. The same bits at every budget. Throws "bad-input", "context-full", "engine-state", "aborted",
   * "device-lost", "gpu-error".
   */
  score(tokens: readonly number[], signal?: AbortSignal): Promise<ScoreResult>;
  /** Changes budgets, also while a reply is running, without changing a token. Throws "bad-input", "budget-too-small", "out-of-memory". */
  setBudget(budgets: Budgets): Promise<BudgetBytes>;
  stats(): EngineStats;
  /**
   * Times every kernel of a decoded token and of a prefill chunk, and measures what the device can do, in a few seconds.
   * The conversation before is forgotten. Throws "bad-input", "engine-state", "out-of-memory", "device-lost".
   */
  profile(options?: ProfileOptions): Promise<EngineProfile>;
  expertMap(): ExpertMap;
  /** The variants of the loaded model's kernels. Throws "engine-state". */
  variants(): VariantReport;
  /** Forgets what timing found on this site or machine: the next load times again. */
  clearTuning(): Promise<void>;
  tokenize(text: string): readonly number[];
  /** The models that this site keeps on disk. */
  listStored(): Promise<StorageReport>;
  /** Reads what is kept of a model and drops what is damaged. Throws "not-found". */
  verifyStored(id: string): Promise<VerifyReport>;
  /** Deletes what is kept of a model. Throws "not-found", and "engine-state" while any tab has it loaded. */
  deleteStored(id: string): Promise<void>;
  /** Asks the browser not to clear this site's storage by itself; whether it agreed. */
  persistStorage(): Promise<boolean>;
  /** Frees everything. The engine cannot be used after that. */
  dispose(): Promise<void>;
}

/** How an engine reaches the GPU: the browser's `navigator.gpu`, or Dawn's in Node. */
export interface EngineHost {
  readonly gpu: GPU | undefined;
  /** The longest buffer to make, if that is less than what the device allows: to try what a smaller device does. */
  readonly maxBufferBytes?: number;
  /** Where it is kept which kernel variants are fastest; without it none are timed. */
  readonly tunings?: TextFile;
  /** What compiles the shaders, with its version. Default: what the browser calls itself. */
  readonly runtime?: string;
  /** The most that timing may take at a load, shaders compiled for it included. Default: 2000. */
  readonly tuningMs?: number;
  /** Whether onnxruntime-web is chosen by itself where WebGPU has no GPU. Default: only when it is asked for. */
  readonly fallsBack?: boolean;
  /** Starts a thread that runs `helpWithExperts`, for WebAssembly. Default: the engine's own thread computes alone. */
  readonly startThread?: () => ThreadPort;
  /**
   * Below so many bytes onnxruntime-web holds what every token needs in f32, which is faster: to try what a larger model
   * does.
   */
  readonly expandedBytes?: number;
}

/** What was found of kernel variants, and what it holds for. */
export interface TuningPlace {
  readonly tunings: KeptTunings;
  readonly runtime: string;
  readonly tuningMs: number;
}
