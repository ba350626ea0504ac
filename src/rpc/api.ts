import type { SluiceErrorCode } from "../errors.ts";
import type { EvictionPolicyName } from "../experts/policies/registry.ts";
import type { PredictorName } from "../experts/predictors/registry.ts";
import type { CacheFormatName } from "../formats/cache/registry.ts";
import type { Accuracy } from "../formats/input/registry.ts";
import type { FamilyName } from "../kernels/parts.ts";
import type { PacingName } from "../scheduler/pacing/registry.ts";
import type { DrafterName, SpeculationName } from "../speculation/registry.ts";
import type { StorageReport, StoredModel, VerifyReport } from "../storage/store/report.ts";
import type {
  Bound,
  Ceilings,
  EngineProfile,
  Floor,
  KernelRow,
  PassProfile,
  ProfileOptions,
} from "./profile-types.ts";

/** Bytes: a number, `"512MB"`, `"2GB"` (powers of 1000; `MiB`, `GiB` of 1024), or the share of all experts: `"50%"`. */
export type Budget = number | string;

/**
 * What a model is loaded from: a URL, a `File` or `Blob`, or the bytes of a GGUF. A model that is split into several
 * files: the URL of any of them, or all of the files, in any order.
 */
export type ModelSource = string | URL | Blob | readonly Blob[] | ArrayBuffer | Uint8Array;

/** How a model is loaded. Everything is optional. */
export interface LoadOptions {
  /** The most that the engine takes of the GPU: weights, KV cache, slots and scratch. Default: all experts resident. */
  readonly gpuBudget?: Budget;
  /** Longest conversation in tokens; the KV cache is made for it. Default: the model's, at most 4096. */
  readonly contextTokens?: number;
  /**
   * How keys and values are kept: as they are computed (`f32`, the default), in half of that (`f16`), or in blocks of
   * signed bytes (`q8_0`). What it costs is in `docs/measurements.md`.
   */
  readonly kvCache?: CacheFormatName;
  /**
   * How empty expert slots are filled: while the engine is otherwise idle (`background`, the default), before `load`
   * resolves (`wait`), or only when a token needs an expert (`off`).
   */
  readonly fill?: "background" | "wait" | "off";
  /**
   * Whose rules count where llama.cpp computes otherwise than the code that a model was published with, as it does for
   * `phimoe`. Default: `published`.
   */
  readonly rules?: "published" | "llama.cpp";
  /**
   * What products of weights read: numbers as they are (`exact`, the default), or blocks of 32 with a scale, of signed
   * bytes (`int8`) or of halves that are multiplied in f16 (`f16`), which are not quite the same. Routers, attention and
   * norms are exact with all of them. All is exact in WebAssembly, and with `f16` where the device has no `shader-f16`:
   * `ModelInfo.accuracy` says which one it is. What it costs, and where it is faster, is in `docs/measurements.md`.
   */
  readonly accuracy?: Accuracy;
  /**
   * Kernel variants. `auto` (the default) is what timing found to be fastest on this adapter, once; a kind pins all
   * families of kernels, an object those that it names. `EngineClient.variants` tells the names.
   */
  readonly variants?: "auto" | VariantKind | PinnedVariants;
  /** `false` times nothing: what `variants` leaves open is the default of the adapter's class. */
  readonly autotune?: boolean;
  /** The most that records may take of RAM. Default: all experts, as far as the device's memory allows. */
  readonly ramBudget?: Budget;
  /** The most that this model may take of the browser's storage; 0 keeps nothing. Default: the whole model. */
  readonly diskBudget?: Budget;
  /** Which expert leaves a full tier. */
  readonly policy?: EvictionPolicyName;
  /** Who says which experts will be wanted: `auto` is exact where the model is and otherwise `none`. */
  readonly predictor?: PredictorName | "auto" | "none";
  /** How much is submitted before results are read. */
  readonly pacing?: PacingName;
  /**
   * Whether the next tokens are drafted and then computed in one pass, which changes no token: from the text before
   * (`prompt-lookup`), by the model's own block where its file has one (`mtp`), by whichever of the two suits the model
   * as far as it was measured to pay (`auto`), or not at all (`off`, the default). Takes room on the GPU for passes over
   * drafted tokens, and for the block.
   */
  readonly speculation?: SpeculationName;
  /**
   * What computes: `webgpu`; `onnx`, which is onnxruntime-web's WebAssembly; or by itself (`auto`, the default) WebGPU
   * where a GPU is behind it and otherwise `onnx`, where the worker's entry lets it.
   */
  readonly runtime?: RuntimeWanted;
  /**
   * The URL of a folder that has onnxruntime-web's `ort-wasm-simd-threaded.mjs` and `.wasm`, of a CDN or your own; a
   * relative one is the page's. Default: where the bundler has put them.
   */
  readonly onnxFolder?: string;
  /**
   * Threads of `onnx`, which share a layer's experts. Default: as many as there are cores, at most 4, where the page is
   * cross-origin isolated; otherwise 1, whatever is asked for.
   */
  readonly onnxThreads?: number;
}

/** What can be asked to compute. */
export type RuntimeWanted = "auto" | "webgpu" | "onnx";

/** What computes, and why it was chosen. */
export interface RuntimeReport {
  readonly name: Exclude<RuntimeWanted, "auto">;
  /** Half a sentence. */
  readonly reason: string;
  /** Threads of `onnx`: more than one where the page is cross-origin isolated. */
  readonly threads?: number;
}

/** A kind of variant that all families of kernels have, as far as their work allows. */
export type VariantKind = "serial" | "workgroup" | "subgroup";

/** A candidate for each family to pin, such as `{ matrix: "workgroup-8" }`. */
export type PinnedVariants = Readonly<Partial<Record<FamilyName, string>>>;

/** The variants of a loaded model, for each family of kernels. */
export type VariantReport = Readonly<Record<FamilyName, FamilyReport>>;

/** How a family's variant was chosen. */
export interface FamilyReport {
  readonly chosen: string;
  /** `kept`: timing found it at an earlier load. */
  readonly source: "pinned" | "tuned" | "kept" | "default";
  /** All that can be pinned. */
  readonly candidates: readonly string[];
  /** What timing found, in milliseconds: of those that were timed. */
  readonly medianMs: Readonly<Record<string, number>>;
}

/** Names of the registries in `src/formats/cache`, `src/experts` and `src/scheduler`. */
export type {
  Accuracy,
  CacheFormatName,
  EvictionPolicyName,
  FamilyName,
  PacingName,
  PredictorName,
  SpeculationName,
};

/** A step of loading, with bytes where they are known. */
export interface LoadProgress {
  /** `header`: metadata and tensor table; `weights`: what every token needs; `experts`: filling the slots; `ready`. */
  readonly phase: "device" | "header" | "weights" | "pipelines" | "experts" | "ready";
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** What was loaded. */
export interface ModelInfo {
  readonly architecture: string;
  readonly name: string;
  readonly layers: number;
  readonly experts: number;
  readonly topK: number;
  readonly hidden: number;
  readonly vocab: number;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
  /** Bytes of all layers' keys and values on the GPU. */
  readonly kvCacheBytes: number;
  /** What was asked for, or `exact` where the device does not have it. */
  readonly accuracy: Accuracy;
  readonly expertBytes: number;
  /** Bytes of all experts as RAM and disk keep them: what budgets there are shares of. */
  readonly allExpertBytes: number;
  readonly hasChatTemplate: boolean;
  /** The smallest GPU budget that can work, in bytes. */
  readonly minGpuBudgetBytes: number;
  /** The GPU budget at which every expert is resident, in bytes. */
  readonly fullGpuBudgetBytes: number;
}

/** One message of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
}

/** What to generate from: text, token ids or a conversation. */
export type Prompt =
  | { readonly text: string }
  | { readonly tokens: readonly number[] }
  | { readonly messages: readonly ChatMessage[] };

/** How tokens are chosen and when generation stops. */
export interface GenerateOptions {
  /** Default: up to the end of the context. */
  readonly maxTokens?: number;
  /** 0 (default) always takes the most probable token. */
  readonly temperature?: number;
  /** Keeps the `topK` most probable tokens; 0 (default) keeps all. */
  readonly topK?: number;
  /** Keeps the fewest tokens whose probabilities sum to `topP`; 1 (default) keeps all. */
  readonly topP?: number;
  /** Drops tokens less probable than `minP` times the most probable one; 0 (default) keeps all. */
  readonly minP?: number;
  /** Divides positive and multiplies negative logits of recent tokens; 1 (default) does nothing. */
  readonly repetitionPenalty?: number;
  /** How many of the last tokens the penalty looks at. Default 64. */
  readonly repetitionWindow?: number;
  /** Same seed, same options, same tokens. Default: a random one, told in the result. */
  readonly seed?: number;
  /** Texts that end generation; they are not part of the result. */
  readonly stop?: readonly string[];
  /** Log-probabilities of that many best tokens at each step; 0 gives the chosen token's only. */
  readonly topLogprobs?: number;
  /** Record the experts that each token chose. */
  readonly trace?: boolean;
  /** Default: as the model was loaded with. Drafts are for greedy replies alone. */
  readonly speculation?: SpeculationName;
}

/** A token's log-probability before temperature and filters. */
export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
  /** The token's own text; U+FFFD for a piece of a character. */
  readonly text?: string;
}

/** A piece of a reply. */
export interface TokenChunk {
  /** Ids of the tokens in this piece. */
  readonly tokens: readonly number[];
  /** Their text: whole characters only, so it may be empty. */
  readonly text: string;
  readonly logprobs?: readonly (TokenLogprob & { readonly top: readonly TokenLogprob[] })[];
}

/** Why a reply ended. */
export type FinishReason = "stop" | "length" | "aborted";

/** The experts that every token chose, in the order in which they were computed: drafted tokens, too. */
export interface RoutingTrace {
  readonly topK: number;
  readonly experts: number;
  /** Layer numbers of the MoE layers, in order. */
  readonly layers: readonly number[];
  /** For each position: its token, and `layers.length * topK` expert ids, layer by layer, best score first. */
  readonly tokens: readonly { readonly token: number; readonly experts: readonly number[] }[];
  /** Tokens of each pass, in order. */
  readonly passes?: readonly number[];
  /** The pool of each MoE layer. */
  readonly pools?: readonly number[];
  /** Bytes of an expert's record, for each pool. */
  readonly recordBytes?: readonly number[];
  /** Whether every expert slot was filled before the first pass; absent where that cannot be told simply. */
  readonly filled?: boolean;
  /** What the routers read. */
  readonly routerInput?:
    | "pre-attention"
    | "previous-layer"
    | "decoupled"
    | "token"
    | "post-attention";
}

/** A whole reply, and what it cost. */
export interface GenerateResult {
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly seed: number;
  readonly stats: EngineStats;
  readonly trace?: RoutingTrace;
}

/** How probable a model finds a text, and what it cost to tell. */
export interface ScoreResult {
  /** For each token but the first, the natural logarithm of its probability given all tokens before it. */
  readonly logprobs: readonly number[];
  /** As for a reply whose prompt the tokens are: `prefillMs` is the time of all of it. */
  readonly stats: EngineStats;
}

/** What the engine did for the last (or current) reply, and what it holds. Counters start at 0 with each reply. */
export interface EngineStats {
  readonly adapter: string;
  readonly runtime: RuntimeReport;
  /** Part of the result: the same ones give the same tokens on one adapter, bit for bit. */
  readonly variants: Readonly<Record<FamilyName, string>>;
  /** Part of the result, as well: see `ModelInfo`. */
  readonly accuracy: Accuracy;
  readonly promptTokens: number;
  readonly tokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
  readonly dispatchesPerToken: number;
  readonly dispatchesPerLayer: number;
  readonly submitsPerToken: number;
  readonly readbacksPerToken: number;
  /** Tokens whose passes were on their way to the GPU and back at once, on average. */
  readonly tokensInFlight: number;
  /** Bytes that the host wrote for a decoded token, but for experts. */
  readonly bytesWrittenPerToken: number;
  /** The same of the prompt, in all. */
  readonly prefill: PassCounts;
  readonly expertHits: number;
  readonly expertMisses: number;
  readonly faults: number;
  readonly stallMs: number;
  /** Experts that a predictor had brought to the GPU before a token's turn came, and how many of those were used. */
  readonly prefetchIssued: number;
  readonly prefetchUsed: number;
  /** Prefetched experts that were asked for while still on their way. */
  readonly prefetchLate: number;
  /** Bytes prefetched that were evicted unused. */
  readonly prefetchWastedBytes: number;
  /** Share of what a guessing predictor should have named that it did name; undefined when none runs. */
  readonly prefetchRecall: number | undefined;
  readonly policy: EvictionPolicyName;
  /** The predictor in use; a guessing one that did not pay says `off`. */
  readonly predictor: PredictorName | "none" | "off";
  readonly pacing: PacingName;
  readonly speculation: SpeculationStats;
  /** Records that a load found in RAM, on disk, or had to fetch from the source. */
  readonly loadsFromRam: number;
  readonly loadsFromDisk: number;
  readonly loadsFromSource: number;
  readonly bytesFromNetwork: number;
  readonly bytesFromDisk: number;
  readonly ramBytes: number;
  readonly ramBudgetBytes: number;
  readonly diskBytes: number;
  readonly diskBudgetBytes: number;
  readonly bytesUploaded: number;
  readonly bytesBeforeFirstToken: number;
  /** Measured when a model of this shape was first loaded, in milliseconds: what `simulate --costs` takes. */
  readonly costs: MeasuredCosts;
  readonly gpuBytes: number;
  readonly gpuBudgetBytes: number;
  readonly residentExperts: number;
  readonly totalExperts: number;
  readonly contextUsed: number;
}

/** How the tokens of a reply were drafted, and how many of the drafts were right. */
export interface SpeculationStats {
  readonly drafter: DrafterName | "off";
  /** Why nothing is drafted. */
  readonly reason?: string;
  /** Tokens that were drafted and computed. */
  readonly drafted: number;
  /** Those of them that were right: each one saved a pass. */
  readonly accepted: number;
  /** Passes over drafted tokens. */
  readonly passes: number;
}

/** What the host asked of the GPU. */
export interface PassCounts {
  readonly dispatches: number;
  readonly submits: number;
  readonly readbacks: number;
  /** But for experts. */
  readonly bytesWritten: number;
}

/** Times of a pass of one token on this device, in milliseconds. */
export interface MeasuredCosts {
  /** One MoE layer, attention included, and the part of it that its experts take. */
  readonly layerMs: number;
  readonly expertMs: number;
  /** One layer's steps when they return at once. */
  readonly skippedLayerMs: number;
  /** What lies outside the layers. */
  readonly passMs: number;
  /** What a readback in the middle of a pass adds to it where nothing runs beside it. */
  readonly readbackMs: number;
  /** What of that is hidden where a layer's choice is read right behind its router, ahead of its experts. */
  readonly overlapMs: number;
  /** A record on its way from RAM to the GPU: for each record, and for each byte, the copy in RAM included. */
  readonly uploadMs: number;
  readonly uploadMsPerByte: number;
  readonly ramMsPerByte: number;
}

/** Where every expert is, for a map: one byte each, `layers * experts` long. Layers without experts are not in it. */
export interface ExpertMap {
  readonly layers: number;
  /** The number that each of those layers has in the model. */
  readonly layerNumbers: readonly number[];
  readonly experts: number;
  /** 0 absent, 1 loading, 2 on the GPU. */
  readonly state: Uint8Array;
  /** The fastest tier below the GPU that has the record: 0 the source only, 1 disk, 2 RAM. */
  readonly below: Uint8Array;
  /** 1 for an expert that was brought to the GPU by a predictor and not used since. */
  readonly prefetched: Uint8Array;
  /** Uses since the model was loaded, saturating at 65535. */
  readonly uses: Uint16Array;
}

/** Budgets of the tiers, as for loading. */
export interface Budgets {
  readonly gpu?: Budget;
  readonly ram?: Budget;
  readonly disk?: Budget;
}

/** What budgets came to, in bytes. */
export interface BudgetBytes {
  readonly gpuBudgetBytes: number;
  readonly ramBudgetBytes: number;
  readonly diskBudgetBytes: number;
}

export type {
  Bound,
  Ceilings,
  EngineProfile,
  Floor,
  KernelRow,
  PassProfile,
  ProfileOptions,
  StorageReport,
  StoredModel,
  VerifyReport,
};

/** What a reply answers when it is asked for its next piece. */
export type ReplyStep =
  | { readonly done: false; readonly chunk: TokenChunk }
  | { readonly done: true; readonly result: GenerateResult };

/** A failure as it crosses the worker boundary. */
export interface WireError {
  readonly code: SluiceErrorCode;
  readonly message: string;
}

/**
 * What the worker offers to the page: the one type that crosses the boundary. Only plain data does. Calls that can be
 * cancelled take an id that `cancel` names; replies are pulled piece by piece, which gives back-pressure.
 */
export interface WorkerApi {
  /** Answers as soon as the worker's script runs. */
  hello(): Promise<void>;
  load(
    call: number,
    source: string | Blob | readonly Blob[] | ArrayBuffer,
    options: LoadOptions,
    onProgress?: (progress: LoadProgress) => void,
  ): Promise<ModelInfo>;
  /** Starts a reply, which `next` then reads. Throws "engine-state" while another reply is not at its end. */
  generate(call: number, prompt: Prompt, options: GenerateOptions): Promise<void>;
  /** The next piece; `done` carries the result. */
  next(call: number): Promise<ReplyStep>;
  /** The log-probability of each token but the first, given those before it. */
  score(call: number, tokens: readonly number[]): Promise<ScoreResult>;
  /** Stops a load, a score or a reply; a reply then ends with finish reason `aborted`. */
  cancel(call: number): Promise<void>;
  /** Changes budgets between replies or during one, without changing a token. What is not named stays. */
  setBudget(budgets: Budgets): Promise<BudgetBytes>;
  /** The models that this site keeps on disk. */
  listStored(): Promise<StorageReport>;
  /** Reads everything that is kept of a model and drops what is damaged. */
  verifyStored(id: string): Promise<VerifyReport>;
  /** Deletes what is kept of a model; "engine-state" while it is loaded, here or in another tab. */
  deleteStored(id: string): Promise<void>;
  /** Asks the browser not to clear this site's storage by itself; whether it agreed. */
  persistStorage(): Promise<boolean>;
  stats(): Promise<EngineStats>;
  /** Times every kernel; the conversation before is forgotten. */
  profile(options: ProfileOptions): Promise<EngineProfile>;
  expertMap(): Promise<ExpertMap>;
  variants(): Promise<VariantReport>;
  clearTuning(): Promise<void>;
  tokenize(text: string): Promise<readonly number[]>;
  dispose(): Promise<void>;
}
