import { nextTask } from "../../../next-task.ts";
import type { OnnxRuntime } from "../../../onnx/runtime.ts";
import { type BoardSize, boardBytes, type ExpertJob, JobBoard, type JobItem } from "./board.ts";
import type { ExpertForm } from "./forms.ts";
import { Helpers, startThreads } from "./helpers.ts";
import type { ThreadPort } from "./messages.ts";
import { ExpertRunner } from "./runner.ts";

/** The threads that compute a model's experts. */
export interface ThreadOptions {
  /** How many, with the engine's own; as many as start. */
  readonly threads: number;
  /** Starts another, which runs `helpWithExperts`. Without it there is one. */
  readonly start: (() => ThreadPort) | undefined;
  /** See `OnnxOptions`. */
  readonly folder: string | undefined;
}

/** Experts to compute, of a layer. */
export interface LayerJob extends Omit<ExpertJob, "items"> {
  /** By slot: the pairs (token, k) whose expert lies there, as `token * topK + k`. */
  readonly pairs: ReadonlyMap<number, readonly number[]>;
}

/** How long this thread waits for the others before it lets messages in, one of which may say that one has died. */
const PATIENCE_MS = 50;
/** A thread that takes longer for an expert has died without a word. */
const LONGEST_ITEM_MS = 60_000;

/** Computes experts, in this thread and in those that help it. Owned by the model. */
export class ExpertComputer {
  readonly #runner: ExpertRunner;
  readonly #size: BoardSize;
  #board: JobBoard;
  #helpers: Helpers | undefined;
  /** Of each form: how many experts of one token are computed at once. */
  readonly #shares: number[] = [];

  private constructor(
    runtime: OnnxRuntime,
    size: BoardSize,
    shared?: { readonly board: JobBoard; readonly helpers: Helpers },
  ) {
    this.#runner = new ExpertRunner(runtime);
    this.#size = size;
    this.#board = shared?.board ?? ownBoard(size);
    this.#helpers = shared?.helpers;
  }

  /**
   * Starts threads; those that do not start are done without.
   * @param most what jobs are no larger than
   */
  static async open(
    runtime: OnnxRuntime,
    most: Omit<BoardSize, "helpers">,
    { threads, start, folder }: ThreadOptions,
  ): Promise<ExpertComputer> {
    const helping = start && canShareMemory() ? await startThreads(threads - 1, start) : [];
    const size = { ...most, helpers: threads - 1 };
    if (helping.length === 0) return new ExpertComputer(runtime, size);
    const memory = new SharedArrayBuffer(boardBytes(size));
    const board = new JobBoard(memory, size);
    const helpers = await Helpers.open(helping, { jobs: board, memory, size }, folder);
    return new ExpertComputer(runtime, size, helpers.count > 0 ? { board, helpers } : undefined);
  }

  /** Threads that compute. */
  get threads(): number {
    return 1 + (this.#helpers?.count ?? 0);
  }

  /** What pairs came to, `[pairs, hidden]`: of each, until it is computed again. */
  get results(): Float32Array {
    return this.#board.y;
  }

  /** Makes a form's graph ready; its number. Throws as `OnnxRuntime.open`. */
  async addForm(form: ExpertForm): Promise<number> {
    const number = this.#shares.push(form.several?.experts.length ?? 1) - 1;
    this.#helpers?.send({ kind: "form", number, form });
    await this.#runner.addForm(number, form);
    return number;
  }

  /** Memory for a slot, all 0. It is the slot's until it is dropped. */
  openSlot(slot: number, bytes: number): Uint8Array {
    if (!this.#helpers) {
      const own = new Uint8Array(bytes);
      this.#runner.hold(slot, own);
      return own;
    }
    const memory = new SharedArrayBuffer(bytes);
    this.#helpers.send({ kind: "hold", slot, memory });
    const shared = new Uint8Array(memory);
    this.#runner.hold(slot, shared);
    return shared;
  }

  dropSlots(slots: readonly number[]): void {
    if (slots.length === 0) return;
    this.#runner.drop(slots);
    this.#helpers?.send({ kind: "drop", slots });
  }

  /**
   * Computes a job; its slots must stay as they are meanwhile. The caller gives one at a time.
   * @param breathe lets this thread do something else if it is time; what it throws ends the job
   */
  async compute({ pairs, ...rest }: LayerJob, breathe: () => Promise<void>): Promise<void> {
    const isSingle = rest.x.length === this.#board.hidden;
    const job = { ...rest, items: itemsOf(pairs, isSingle ? this.#shares[rest.form]! : 1) };
    await this.#attempt(job, breathe);
    if (this.#helpers?.failure === undefined) return;
    // What a thread that has failed was computing is not there: all of it is computed again, in this one.
    const before = this.#board.y;
    this.#helpers.close();
    this.#helpers = undefined;
    this.#board = ownBoard(this.#size);
    this.#board.y.set(before);
    await this.#attempt(job, breathe);
  }

  async dispose(): Promise<void> {
    this.#helpers?.close();
    await this.#runner.dispose();
  }

  async #attempt(job: ExpertJob, breathe: () => Promise<void>): Promise<void> {
    const board = this.#board;
    board.open(job);
    this.#helpers?.wake();
    try {
      for (let item = board.take(); item; item = board.take()) {
        try {
          await this.#runner.compute(board, item);
        } finally {
          board.finished();
        }
        await breathe();
      }
    } finally {
      await this.#settle();
    }
  }

  /** Waits until nobody computes any more, or somebody has failed. */
  async #settle(): Promise<void> {
    const board = this.#board;
    const taken = board.close();
    const until = performance.now() + LONGEST_ITEM_MS;
    while (!board.waitForDone(taken, PATIENCE_MS)) {
      await nextTask();
      if (this.#helpers?.failure !== undefined) return;
      if (performance.now() > until) this.#helpers?.giveUp();
    }
  }
}

/** The slots, in shares of so many; what is left over, and all where pairs have more than one token, one by one. */
function itemsOf(pairs: LayerJob["pairs"], share: number): JobItem[] {
  const all = [...pairs];
  const whole = share === 1 ? 0 : all.length - (all.length % share);
  const items: JobItem[] = [];
  for (let first = 0; first < whole; first += share) {
    const own = all.slice(first, first + share);
    items.push({ slots: own.map(([slot]) => slot), pairs: own.map(([, [pair]]) => pair!) });
  }
  for (const [slot, own] of all.slice(whole)) items.push({ slots: [slot], pairs: own });
  return items;
}

/** A board of this thread's own. */
function ownBoard(size: BoardSize): JobBoard {
  return new JobBoard(new ArrayBuffer(boardBytes(size)), size);
}

/** Whether threads can work on the same memory: browsers let pages do that which are cross-origin isolated. */
function canShareMemory(): boolean {
  const isBrowser = "crossOriginIsolated" in globalThis;
  return typeof SharedArrayBuffer !== "undefined" && (!isBrowser || globalThis.crossOriginIsolated);
}
