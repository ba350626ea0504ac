import type { IncomingMessage, ServerResponse } from "node:http";
import type {
  GenerateOptions,
  GenerateResult,
  LoadOptions,
  LoadProgress,
  ModelInfo,
  Prompt,
  TokenChunk,
} from "../rpc/api.ts";
import type { ModelLocation } from "./location.ts";

/** One run of a model: what every runtime can do. Plain data, but for the model's place. */
export interface Job {
  readonly model: ModelLocation;
  readonly load: LoadOptions;
  readonly prompt: Prompt;
  readonly generate: GenerateOptions;
}

/** What a runtime tells while it works, and what stops it. */
export interface JobHooks {
  onProgress(progress: LoadProgress): void;
  onModel(model: ModelInfo): void;
  onChunk(chunk: TokenChunk): void;
  /** A line of a page's console. */
  onLog(line: string): void;
  readonly signal: AbortSignal;
}

/** Does a job where a GPU is, and cleans up behind it. Throws what the engine throws. */
export type Runtime = (job: Job, hooks: JobHooks, assets: PageAssets) => Promise<GenerateResult>;

/** The code that a page needs, which comes from source or from a build. */
export interface PageAssets {
  /** Addresses on the local server: the page's script and the engine's worker. */
  readonly runner: string;
  readonly worker: string;
  /** Answers a request for a script. */
  handle(request: IncomingMessage, response: ServerResponse): void;
}
