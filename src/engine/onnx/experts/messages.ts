import type { BoardSize } from "./board.ts";
import type { ExpertForm } from "./forms.ts";

/** What helpers are told. Those that jobs depend on are counted on the board: see `JobBoard.addMail`. */
export type ToHelper =
  | {
      readonly kind: "open";
      readonly board: SharedArrayBuffer;
      readonly size: BoardSize;
      /** Which of the helpers this is. */
      readonly helper: number;
      /** See `OnnxOptions`. */
      readonly folder: string | undefined;
    }
  | Mail
  | { readonly kind: "wake" };

/** What jobs depend on. */
export type Mail =
  | { readonly kind: "form"; readonly number: number; readonly form: ExpertForm }
  | { readonly kind: "hold"; readonly slot: number; readonly memory: SharedArrayBuffer }
  | { readonly kind: "drop"; readonly slots: readonly number[] };

/** What helpers tell: that they listen; that they can compute; that they cannot. */
export type FromHelper =
  | { readonly kind: "here" }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly reason: string };

/** A thread, seen from the one that has started it. */
export interface ThreadPort {
  post(message: ToHelper): void;
  /** @param onFailure the thread cannot start, or has died */
  listen(onMessage: (message: FromHelper) => void, onFailure: (reason: string) => void): void;
  /** Ends the thread, whatever it does. */
  close(): void;
}

/** The thread that started this one, seen from here. */
export interface ParentPort {
  post(message: FromHelper): void;
  listen(onMessage: (message: ToHelper) => void): void;
}
