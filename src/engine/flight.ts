import type { ChooserName, Program } from "../ops/program.ts";
import type { Executor } from "./executor.ts";
import type { PassPlan } from "./pacer.ts";
import { Pass, type PassOptions, type PassResult } from "./pass.ts";

/** What passes in flight need of the model. */
export interface FlightParts {
  readonly executor: Executor;
  /** The program for one token; another one once the budget has changed. */
  readonly program: () => Program;
  readonly plan: () => PassPlan;
  /** What a pass of one token is watched with; the token is known unless it is being chosen by the pass before. */
  readonly watch: (token: number | undefined) => Omit<PassOptions, "logits" | "cuts">;
  /** A pass of one token was computed to its end. */
  readonly onLanded: (token: number, result: PassResult) => void;
  /** The flight is over. */
  readonly onClosed: () => void;
}

/** Where a flight starts: behind a pass that was run with `continues`. */
export interface FlightStart {
  /** What that pass has chosen, and where it will be. */
  readonly token: number;
  readonly position: number;
  readonly chooser: ChooserName;
  /** Most tokens in flight. */
  readonly most: number;
  readonly signal: AbortSignal | undefined;
}

/** A pass of one token that was computed to its end. */
export interface Landed {
  readonly token: number;
  readonly result: PassResult;
}

/**
 * Passes of one token each, of which several are on their way to the GPU and back: each computes what the one before it
 * has chosen. Behind one that faults, those that are submitted do nothing, and are submitted again once it has been taken
 * up; behind one that ends the text they do nothing, either. So at any time the GPU holds what it would hold if they had
 * been run one by one.
 *
 * Its maker calls `close`, also in the middle.
 */
export class Flight {
  readonly #parts: FlightParts;
  readonly #start: FlightStart;
  /** Submitted and not read, oldest first. */
  #passes: Pass[] = [];
  /** Read and not given out; and why there will be no more. */
  readonly #landed: Landed[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** Of the oldest pass. */
  #token: number;
  #position: number;
  #closed = false;

  constructor(parts: FlightParts, start: FlightStart) {
    this.#parts = parts;
    this.#start = start;
    this.#token = start.token;
    this.#position = start.position;
  }

  /** Tokens up to there may be in the caches. */
  get end(): number {
    return this.#position + this.#passes.length;
  }

  /** Whether there is something under way, or read and not given out. */
  get busy(): boolean {
    return this.#passes.length + this.#landed.length > 0 || this.#failure !== undefined;
  }

  /**
   * The next token's pass. At most `wanted` are on their way, this one included, however many may be in flight.
   * Throws what a pass throws; there is no next one then, nor behind a pass that `stopped`.
   */
  async next(wanted: number): Promise<Landed> {
    const landed = this.#landed.shift();
    if (landed) return landed;
    if (this.#failure) throw this.#failure.error;
    this.#fill(wanted);
    return this.#land();
  }

  /** Waits until no pass is under way; what they bring is given out later. Never throws. */
  async land(): Promise<void> {
    while (this.#passes.length > 0) {
      try {
        this.#landed.push(await this.#land());
      } catch (error) {
        this.#failure = { error };
      }
    }
  }

  /** Gives up what is under way: the GPU may still compute it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const pass of this.#passes) pass.close();
    this.#parts.onClosed();
  }

  #fill(wanted: number): void {
    const { executor, program, plan, watch } = this.#parts;
    const { chooser, most, signal } = this.#start;
    const { cuts, tokensInFlight } = plan();
    const passes = Math.min(tokensInFlight, most, wanted);
    while (this.#passes.length < Math.max(1, passes)) {
      const known = this.#passes.length === 0 ? this.#token : undefined;
      const options = { ...watch(known), logits: false, chooser, cuts, signal };
      const pass = new Pass(executor, program(), 1, options);
      executor.count("passes", 1);
      this.#passes.push(pass);
      pass.start();
    }
  }

  /** Waits for the oldest pass. */
  async #land(): Promise<Landed> {
    const [pass] = this.#passes;
    const { executor } = this.#parts;
    executor.count("inFlight", this.#passes.length);
    let result: PassResult;
    try {
      result = await pass!.run();
    } catch (error) {
      this.#dropBehind(pass!);
      this.#passes = [];
      this.#position++; // it may have written its keys
      throw error;
    }
    if (pass!.faulted) executor.count("passes", -this.#dropBehind(pass!));
    else if (result.stopped) this.#dropBehind(pass!);
    this.#passes.shift();
    const token = this.#token;
    this.#token = result.next;
    this.#position++;
    this.#parts.onLanded(token, result);
    return { token, result };
  }

  /** Forgets the passes behind the oldest one, which did nothing; how many they were. */
  #dropBehind(oldest: Pass): number {
    const behind = this.#passes.filter((pass) => pass !== oldest);
    for (const pass of behind) pass.close();
    this.#passes = [oldest];
    return behind.length;
  }
}
