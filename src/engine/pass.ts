import { SluiceError } from "../errors.ts";
import type { ChooserName, MoeSteps, Program } from "../ops/program.ts";
import type { Executor } from "./executor.ts";
import { PassExperts, type PassExpertsParts } from "./pass-experts.ts";
import { type Asked, PassReadings, type Reading } from "./pass-readings.ts";

/** What a chooser writes when no logit compares: every one is NaN. */
export const NOTHING = 0xffffffff;

/** How a pass is run. */
export interface PassOptions {
  readonly logits: boolean;
  /** How the token after the pass is chosen; the most probable one unless told otherwise. */
  readonly chooser?: ChooserName;
  /** Whether the next pass computes that token, and finds it on the GPU. */
  readonly continues?: boolean;
  /** The token after the pass: asks for the log-probability of each token that follows one of the pass, this one last. */
  readonly following?: number;
  /**
   * Also runs the model's block that predicts a further token. What stands behind the pass's tokens in the control block:
   * how many of them are known, where others were drafted; otherwise the token after them, or {@link NOTHING} where it
   * is the one that the pass finds.
   */
  readonly predicts?: { readonly behind: number };
  /**
   * MoE layers, ascending, whose choice the host reads, and makes resident, before their experts are submitted. The
   * others look up by themselves, and fault when an expert is absent.
   */
  readonly cuts: readonly number[];
  /** Read a cut layer's choice right behind its router (exact prefetch); otherwise where its experts are due. */
  readonly ahead: boolean;
  /** Choices of the first MoE layers that are known before the pass; see `TokenChoices`. */
  readonly known?: readonly Uint32Array[];
  /** The choice of a layer is known; it is counted, and loaded for, after this. */
  readonly onAsked?: (moe: number, ids: Uint32Array) => void;
  readonly signal?: AbortSignal | undefined;
  /** The choices up to layer `moe` are known, and what was guessed for the next layer. */
  readonly onChosen?: (moe: number, ids: readonly Uint32Array[], guess?: Uint32Array) => void;
}

/** What one pass brings back. */
export interface PassResult {
  /** The token that was chosen. */
  readonly next: number;
  /** Whether the GPU has found it to end the text: what is submitted behind it does nothing. */
  readonly stopped: boolean;
  /** The most probable token after each of the pass's; of a program that verifies. */
  readonly verdict: Uint32Array | undefined;
  /** What the model's block predicts to come after the next token; when asked for. */
  readonly guess: number | undefined;
  /** `[vocab]`, of the next token, or `[tokens, vocab]` of a program that verifies; when asked for. */
  readonly logits: Float32Array | undefined;
  /** `[tokens]`: of the token that follows each; when asked for. */
  readonly logprobs: Float32Array | undefined;
  /** For each MoE layer the chosen experts `[tokens, topK]`, best first. */
  readonly ids: readonly Uint32Array[];
}

/** Routers closer than this have nothing between them that a readback of its own could overlap with. */
const NEIGHBOUR_STEPS = 2;

/**
 * Computes `tokens` at `position` and the logits after the last of them.
 * Throws "device-lost", "gpu-error", "bad-file" when the numbers are no numbers, "aborted" while loads are waited for,
 * and what the model's source throws.
 */
export async function runPass(
  executor: Executor,
  program: Program,
  tokens: readonly number[],
  position: number,
  options: PassOptions,
): Promise<PassResult> {
  const behind = options.following ?? options.predicts?.behind;
  executor.begin(tokens, position, { behind, continues: options.continues ?? false });
  const pass = new Pass(executor, program, tokens.length, options);
  try {
    pass.start();
    return await pass.run();
  } finally {
    pass.close();
  }
}

/**
 * One pass under way, of tokens that the control block holds when the GPU comes to it. It is submitted in pieces that end
 * before the experts of each cut layer: while the GPU works on what lies between a cut layer's router and its experts, its
 * choice is read and what is absent is loaded. A layer that is not cut and faults makes the GPU skip the rest; from then
 * on it is treated as cut. Nothing is computed twice. Its maker calls `close`.
 */
export class Pass {
  readonly #executor: Executor;
  readonly #program: Program;
  readonly #tokens: number;
  readonly #options: PassOptions;
  readonly #cuts: Set<number>;
  /** Steps from here on are not wanted. */
  readonly #end: number;
  readonly #readings: PassReadings;
  readonly #experts: PassExperts<MoeSteps>;
  #release: (() => void) | undefined;
  /** Steps before it are submitted. */
  #cursor = 0;
  /** Layers before it have been counted. */
  #counted = 0;
  /** Layers that found an expert absent by themselves. */
  readonly #faulted = new Set<number>();

  constructor(executor: Executor, program: Program, tokens: number, options: PassOptions) {
    this.#executor = executor;
    this.#program = program;
    this.#tokens = tokens;
    this.#options = options;
    this.#end = options.predicts ? program.steps.length : program.predictFirst;
    this.#cuts = new Set(options.cuts);
    this.#readings = new PassReadings(executor, program, tokens);
    const { moe, cache, store } = executor.parts;
    const count: PassExpertsParts["count"] = (what, amount) => executor.count(what, amount);
    this.#experts = new PassExperts(
      { moe, cache, store, count },
      {
        tokens,
        signal: options.signal,
        submit: (place, slots) => this.#submitExperts(place, slots),
      },
    );
  }

  /** Whether a layer found an expert absent by itself: then what was submitted behind the pass did nothing. */
  get faulted(): boolean {
    return this.#faulted.size > 0;
  }

  /** Serves what is known, and submits all of the pass where there is nothing to wait for in the middle. */
  start(): void {
    for (const [moe, ids] of (this.#options.known ?? []).entries()) {
      // No cut is needed there. Its router looks up by itself, so that a choice other than the known one would fault.
      if (!this.#experts.serveKnown(moe, ids, () => this.#count(moe, ids))) break;
      this.#cuts.delete(moe);
    }
    if (this.#cuts.size === 0) this.#submitRest();
  }

  /** Takes a pass that was started to its end. */
  async run(): Promise<PassResult> {
    for (let next = 0; ; ) {
      const place = this.#program.moe.find(
        ({ moe, first }) => moe >= next && this.#cuts.has(moe) && first < this.#end,
      );
      const reading = place ? await this.#arrive(place) : await this.#finish();
      if (reading.fault > 0) {
        this.#takeUp(reading.fault - 1);
        continue;
      }
      if (!place) return this.#result(reading);
      await this.#makeResident(place);
      next = place.moe + 1;
    }
  }

  /** Lets go of everything, also in the middle. */
  close(): void {
    this.#letGo();
    this.#readings.close();
  }

  /** The choice of the layer that is next to be counted. */
  #count(moe: number, ids: Uint32Array): void {
    this.#options.onAsked?.(moe, ids);
    this.#executor.parts.store.use(this.#executor.parts.moe[moe]!.pool, ids);
    this.#counted = moe + 1;
  }

  /**
   * Submits everything before a cut layer's experts and learns its choice. Layers whose routers come before these experts
   * are cut as well: a fault of theirs would make the GPU skip rounds of this layer that are not submitted again.
   */
  async #arrive(place: MoeSteps): Promise<Reading> {
    const readings = this.#readings;
    for (const { moe, router } of this.#program.moe) {
      if (moe > place.moe && router >= this.#cursor && router < place.first) this.#cuts.add(moe);
    }
    if (this.#options.ahead) {
      for (const [moe, { router }] of this.#program.moe.entries()) {
        if (router < this.#cursor || router >= place.first || !this.#cuts.has(moe)) continue;
        if (readings.asked <= moe && !this.#readsSoon(router, moe + 1, place)) {
          this.#submit(router + 1, readings.choices(router + 1));
        }
      }
    }
    const asked = readings.asked > place.moe;
    this.#submit(place.first, asked ? undefined : readings.choices(place.first));
    let reading: Reading | undefined;
    while (readings.read <= place.moe && !reading?.fault) reading = await this.#take();
    return reading ?? NO_FAULT;
  }

  /** Whether the router of the layer after follows at once, and its readback brings both choices. */
  #readsSoon(router: number, nextMoe: number, place: MoeSteps): boolean {
    const next = this.#program.moe[nextMoe];
    return (
      next !== undefined &&
      this.#cuts.has(nextMoe) &&
      next.router - router <= NEIGHBOUR_STEPS &&
      next.router < place.first
    );
  }

  async #finish(): Promise<Reading> {
    if (this.#readings.pending === 0) this.#submitRest();
    return this.#take();
  }

  /** Submits up to the end, and reads what the pass is for. */
  #submitRest(): void {
    const { result, scores, verdict, guess } = this.#executor.parts;
    const { logits, verifies } = this.#program;
    const asked = this.#readings.choices(this.#end);
    const found = verifies ? verdict : result;
    asked.ranges.push({ buffer: found, byteOffset: 0, bytes: 4 * this.#foundCount });
    if (this.#options.logits) {
      asked.ranges.push({ buffer: logits, byteOffset: 0, bytes: 4 * this.#logitCount });
    }
    if (this.#scored) asked.ranges.push({ buffer: scores, byteOffset: 0, bytes: 4 * this.#tokens });
    if (this.#options.predicts) asked.ranges.push({ buffer: guess, byteOffset: 0, bytes: 4 });
    this.#submit(this.#end, asked, { ends: true });
  }

  /** Submits up to step `end`. */
  #submit(end: number, read?: Asked, { ends = false } = {}): void {
    if (end === this.#cursor && !read) return;
    const words = this.#executor.submit({
      program: this.#program,
      tokens: this.#tokens,
      first: this.#cursor,
      end,
      chosenByHost: this.#cuts,
      scored: ends && this.#scored,
      chooser: ends && !this.#program.verifies ? (this.#options.chooser ?? "top") : undefined,
      ranges: read?.ranges,
    });
    this.#cursor = end;
    this.#letGo();
    if (read) this.#readings.add(read, words());
  }

  /** Lets the experts of a layer leave, once what reads them is submitted. */
  #letGo(): void {
    this.#release?.();
    this.#release = undefined;
  }

  /** Waits for the oldest readback and counts what it tells. */
  async #take(): Promise<Reading> {
    const reading = await this.#readings.take();
    const { ids, read } = this.#readings;
    while (this.#counted < read) this.#count(this.#counted, ids[this.#counted]!);
    if (reading.fault === 0) this.#options.onChosen?.(reading.endMoe - 1, ids, reading.guess);
    return reading;
  }

  /** Goes back to a layer that faulted: its choice is known, and what was submitted behind it did nothing. */
  #takeUp(moe: number): void {
    this.#readings.goBack(moe);
    this.#cuts.add(moe);
    this.#faulted.add(moe);
    this.#cursor = this.#program.moe[moe]!.router + 1;
    this.#executor.clearFault();
  }

  async #makeResident(place: MoeSteps): Promise<void> {
    const early =
      this.#options.ahead && place.router + 1 < place.first && !this.#faulted.has(place.moe);
    const ids = this.#readings.ids[place.moe]!;
    const { slots, submitted, release } = await this.#experts.makeResident(place, ids, early);
    this.#release = release;
    if (slots) this.#executor.writeSlots(this.#program, place.moe, slots);
    if (submitted) this.#cursor = place.end;
  }

  #submitExperts(place: MoeSteps, slots: Uint32Array): void {
    this.#executor.writeSlots(this.#program, place.moe, slots);
    this.#executor.submit({
      program: this.#program,
      tokens: this.#tokens,
      first: place.first,
      end: place.end,
      chosenByHost: this.#cuts,
    });
  }

  get #scored(): boolean {
    return this.#options.following !== undefined;
  }

  /** Tokens after which the most probable one is told. */
  get #foundCount(): number {
    return this.#program.verifies ? this.#tokens : 1;
  }

  get #logitCount(): number {
    return this.#options.logits ? this.#foundCount * this.#executor.parts.vocab : 0;
  }

  #result({ stopped, rest: { words, byteOffset } }: Reading): PassResult {
    const { vocab } = this.#executor.parts;
    const { logits: wantsLogits, predicts } = this.#options;
    const found = new Uint32Array(words, byteOffset, this.#foundCount);
    // NOTHING is no token, either.
    if (found.some((token) => token >= vocab)) throw unusableNumbers();
    const logits = new Float32Array(words, byteOffset + found.byteLength, this.#logitCount);
    const scoresFirst = logits.byteOffset + logits.byteLength;
    const logprobs = new Float32Array(words, scoresFirst, this.#scored ? this.#tokens : 0);
    if (!logprobs.every(Number.isFinite)) throw unusableNumbers();
    const [guess = NOTHING] = predicts ? new Uint32Array(words, words.byteLength - 4) : [];
    return {
      next: found.at(-1)!,
      stopped,
      verdict: this.#program.verifies ? found : undefined,
      guess: guess < vocab ? guess : undefined,
      logits: wantsLogits ? logits : undefined,
      logprobs: this.#scored ? logprobs : undefined,
      ids: this.#readings.ids,
    };
  }
}

/** What was read of a layer before, at a step that needed no readback of its own. */
const NO_FAULT: Reading = {
  fault: 0,
  stopped: false,
  endMoe: 0,
  guess: undefined,
  rest: { words: new ArrayBuffer(0), byteOffset: 0 },
};

/** What a model that computes no numbers ends in. */
export function unusableNumbers(): SluiceError {
  return new SluiceError(
    "bad-file",
    "The model computed no usable number (its logits are not numbers). The file's weights are damaged, or this GPU's driver is: try another file or browser.",
  );
}
