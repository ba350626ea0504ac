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
import type { PeersResult, PeersTask } from "./bench/peers.ts";
import type { BenchResult, BenchTask } from "./bench/task.ts";
import type { ModelLocation } from "./location.ts";
import type { ScoreProgress, ScoreTask, TextScore } from "./score-text.ts";

/** One run of a model: what every runtime can do. Plain data, but for the model's place. */
export interface Job<Work extends Task = Task> {
  readonly model: ModelLocation;
  readonly load: LoadOptions;
  readonly task: Work;
}

/** What to do with a model once it is loaded. */
export type Task = GenerateTask | ScoreTask | BenchTask | PeersTask;

/** A prompt to reply to. */
export interface GenerateTask {
  readonly kind: "generate";
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
}

/** What a task ends with. */
export type ResultOf<Work extends Task> = Work extends GenerateTask
  ? GenerateResult
  : Work extends ScoreTask
    ? TextScore
    : Work extends BenchTask
      ? BenchResult
      : PeersResult;

/** What a runtime tells while it works, and what stops it. */
export interface JobHooks {
  onProgress(progress: LoadProgress): void;
  onModel(model: ModelInfo): void;
  onChunk?(chunk: TokenChunk): void;
  onWindow?(progress: ScoreProgress): void;
  /** Where a long task stands. */
  onStatus?(line: string): void;
  /** A line of a page's console. */
  onLog(line: string): void;
  readonly signal: AbortSignal;
}

/** Does a job where a GPU is, and cleans up behind it. Throws what the engine throws. */
export type Runtime = <Work extends Task>(
  job: Job<Work>,
  hooks: JobHooks,
  assets: PageAssets,
) => Promise<ResultOf<Work>>;

/** The code that pages and threads need, which comes from source or from a build. */
export interface PageAssets {
  /** Addresses on the local server: the page's script and the engine's worker. */
  readonly runner: string;
  readonly worker: string;
  /** Address of the script that measures other engines in the page; the packages that it needs are not shipped. */
  readonly peers?: string;
  /** The script of a thread of Node that helps to compute experts. */
  readonly expertThread: URL;
  /** Path of the model that comes with the command, if it does. */
  readonly bundledModel?: string;
  /** Answers a request for a script. */
  handle(request: IncomingMessage, response: ServerResponse): void;
}
