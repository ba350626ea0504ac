/** How large jobs may be, and how many threads work on them beside the one that gives them. */
export interface BoardSize {
  readonly helpers: number;
  readonly tokens: number;
  /** Of all tokens: each with an expert that it chose. */
  readonly pairs: number;
  readonly hidden: number;
}

/** Experts to compute. */
export interface ExpertJob {
  /** How they are computed. */
  readonly form: number;
  readonly topK: number;
  /** `[tokens, hidden]`. */
  readonly x: Float32Array;
  readonly items: readonly JobItem[];
}

/** What is computed at once: one slot for all pairs that chose it, or for the one token that there is several. */
export interface JobItem {
  readonly slots: ArrayLike<number>;
  /** As `token * topK + k`; where there are several slots, of each in turn. */
  readonly pairs: ArrayLike<number>;
}

/** An item of a job, for whoever has taken it. */
export interface ExpertItem extends JobItem {
  readonly form: number;
  readonly topK: number;
  readonly slots: Int32Array;
  readonly pairs: Int32Array;
}

/** Where the numbers of the state lie. What comes from `asleep` on is each helper's own. */
const STATE = {
  /** Messages to helpers so far. */
  mail: 0,
  /** Changes when there is something to do. */
  signal: 1,
  /** Items that nobody has taken; not above 0 when there is no job. */
  left: 2,
  /** Items of the job that are computed. */
  done: 3,
  items: 4,
  form: 5,
  topK: 6,
  asleep: 7,
} as const;

/** Numbers of an item: the first, and how many, of the job's slots; the same of its pairs. */
const ITEM_NUMBERS = 4;

/**
 * Where threads find what to compute and leave what it came to: memory that they share, where there are several. One of
 * them gives jobs, one at a time; all of them take items, one by one, so that none waits for a slower one while there is
 * something to do.
 */
export class JobBoard {
  /** What the job reads: `[tokens, hidden]`. */
  readonly x: Float32Array;
  /** What each pair comes to: `[pairs, hidden]`. */
  readonly y: Float32Array;
  readonly hidden: number;
  readonly #state: Int32Array;
  readonly #items: Int32Array;
  readonly #slots: Int32Array;
  readonly #pairs: Int32Array;

  /** @param memory {@link boardBytes} of it, all 0 at first */
  constructor(memory: ArrayBufferLike, { helpers, tokens, pairs, hidden }: BoardSize) {
    let offset = 0;
    const ints = (count: number) => {
      const view = new Int32Array(memory, offset, count);
      offset += view.byteLength;
      return view;
    };
    const floats = (count: number) => {
      const view = new Float32Array(memory, offset, count);
      offset += view.byteLength;
      return view;
    };
    this.hidden = hidden;
    this.#state = ints(STATE.asleep + helpers);
    this.#items = ints(ITEM_NUMBERS * pairs);
    this.#slots = ints(pairs);
    this.#pairs = ints(pairs);
    this.x = floats(tokens * hidden);
    this.y = floats(pairs * hidden);
  }

  // For the thread that gives jobs.

  /** Gives a job. The one before must have been closed. */
  open({ form, topK, x, items }: ExpertJob): void {
    const state = this.#state;
    this.x.set(x);
    let [slot, pair] = [0, 0];
    for (const [index, { slots, pairs }] of items.entries()) {
      this.#items.set([slot, slots.length, pair, pairs.length], ITEM_NUMBERS * index);
      this.#slots.set(slots, slot);
      this.#pairs.set(pairs, pair);
      slot += slots.length;
      pair += pairs.length;
    }
    state[STATE.items] = items.length;
    state[STATE.form] = form;
    state[STATE.topK] = topK;
    Atomics.store(state, STATE.done, 0);
    Atomics.store(state, STATE.left, items.length);
    this.#call();
  }

  /** Lets nobody take another item; how many of the job's were taken. */
  close(): number {
    const left = Atomics.exchange(this.#state, STATE.left, 0);
    return this.#state[STATE.items]! - Math.max(0, left);
  }

  /** Waits until so many items are computed, or so long; whether they are. Holds the thread. */
  waitForDone(items: number, ms: number): boolean {
    const until = performance.now() + ms;
    for (;;) {
      const done = Atomics.load(this.#state, STATE.done);
      if (done >= items) return true;
      const rest = until - performance.now();
      if (rest <= 0) return false;
      Atomics.wait(this.#state, STATE.done, done, rest);
    }
  }

  /** A message to all helpers is under way: nobody computes before having read it. */
  addMail(): void {
    Atomics.add(this.#state, STATE.mail, 1);
    this.#call();
  }

  /** Whether a helper has to be told by a message that there is something to do. */
  isAsleep(helper: number): boolean {
    return Atomics.load(this.#state, STATE.asleep + helper) === 1;
  }

  // For all.

  /** Takes the next item, if there is one; whoever does says `finished`. */
  take(): ExpertItem | undefined {
    const state = this.#state;
    // Counted down, so that a thread that comes late takes nothing of a job that is just being written.
    const left = Atomics.sub(state, STATE.left, 1);
    if (left <= 0) return undefined;
    const at = ITEM_NUMBERS * (state[STATE.items]! - left);
    const [slot, slots, pair, pairs] = this.#items.subarray(at, at + ITEM_NUMBERS);
    return {
      form: state[STATE.form]!,
      topK: state[STATE.topK]!,
      slots: this.#slots.subarray(slot!, slot! + slots!),
      pairs: this.#pairs.subarray(pair!, pair! + pairs!),
    };
  }

  finished(): void {
    Atomics.add(this.#state, STATE.done, 1);
    Atomics.notify(this.#state, STATE.done);
  }

  // For helpers.

  /** Messages to helpers so far. */
  get mail(): number {
    return Atomics.load(this.#state, STATE.mail);
  }

  get signal(): number {
    return Atomics.load(this.#state, STATE.signal);
  }

  /** Waits until the signal is no longer `seen`, or so long; whether it changed. Holds the thread. */
  waitForSignal(seen: number, ms: number): boolean {
    return Atomics.wait(this.#state, STATE.signal, seen, ms) !== "timed-out";
  }

  /** Whoever changes the signal after a helper said that it is asleep sends it a message. */
  setAsleep(helper: number, asleep: boolean): void {
    Atomics.store(this.#state, STATE.asleep + helper, asleep ? 1 : 0);
  }

  #call(): void {
    Atomics.add(this.#state, STATE.signal, 1);
    Atomics.notify(this.#state, STATE.signal);
  }
}

/** Bytes that a board takes. */
export function boardBytes({ helpers, tokens, pairs, hidden }: BoardSize): number {
  const ints = STATE.asleep + helpers + (ITEM_NUMBERS + 2) * pairs;
  return 4 * (ints + (tokens + pairs) * hidden);
}
