import type { SluiceErrorCode } from "../../errors.ts";
import type { LoadOptions, LoadProgress, ModelInfo, TokenChunk } from "../../rpc/api.ts";
import type { ResultOf, Task } from "../job.ts";
import type { ScoreProgress } from "../score-text.ts";

/** What the page asks the command for: a job, as JSON. */
export interface PageJob {
  /** Address of the engine's worker. */
  readonly worker: string;
  /** Address of the model on the command's own server. */
  readonly model: string;
  readonly load: LoadOptions;
  readonly task: Task;
}

/** What the page tells the command, in order. `result` or `error` is the last. */
export type PageEvent =
  | { readonly kind: "started" }
  | { readonly kind: "progress"; readonly progress: LoadProgress }
  | { readonly kind: "model"; readonly model: ModelInfo }
  | { readonly kind: "chunk"; readonly chunk: TokenChunk }
  | { readonly kind: "window"; readonly window: ScoreProgress }
  | { readonly kind: "status"; readonly line: string }
  | { readonly kind: "result"; readonly result: ResultOf<Task> }
  | {
      readonly kind: "error";
      readonly code?: SluiceErrorCode;
      readonly message: string;
      readonly stack?: string;
    };

/** Addresses of the command's server that are not scripts. */
export const PAGE_PATHS = {
  page: "/sluice/",
  job: "/sluice/job",
  events: "/sluice/events",
  /** GET, PUT and DELETE of a text: which kernel variants are fastest. */
  tunings: "/sluice/tunings",
} as const;
