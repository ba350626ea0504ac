import { abortError, SluiceError } from "../errors.ts";
import type { Load } from "../experts/expert-cache.ts";
import { ABSENT } from "../experts/page-table.ts";
import type { ReadRange } from "../gpu/readback.ts";
import type { MoeSteps, Program } from "../ops/program.ts";
import { type FaultPlan, planFault } from "../scheduler/scheduler.ts";
import type { Executor } from "./executor.ts";

/** What argmax writes when no logit compares: every one is NaN. */
export const NOTHING = 0xffffffff;

/** How a pass is run. */
export interface PassOptions {
  readonly logits: boolean;
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
  /** The most probable next token. */
  readonly next: number;
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

/** A readback under way: the control word, then the choices of layers `[firstMoe, endMoe)`. */
interface PendingRead {
  readonly firstMoe: number;
  readonly endMoe: number;
  readonly guessed: boolean;
  readonly words: Promise<ArrayBuffer>;
}

/** Routers closer than this have nothing between them that a readback of its own could overlap with. */
const NEIGHBOUR_STEPS = 2;

/** What a readback brought. */
interface Reading {
  /** 0, or 1 + the layer that faulted. */
  readonly fault: number;
  /** What follows the choices. */
  readonly rest: { readonly words: ArrayBuffer; readonly byteOffset: number };
}

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
  executor.begin(tokens, position, options.following ?? options.predicts?.behind);
  const pass = new Pass(executor, program, tokens.length, options);
  try {
    return await pass.run();
  } finally {
    pass.close();
  }
}

/**
 * One pass under way. It is submitted in pieces that end before the experts of each cut layer: while the GPU works on
 * what lies between a cut layer's router and its experts, its choice is read and what is absent is loaded. A layer that
 * is not cut and faults makes the GPU skip the rest; from then on it is treated as cut. Nothing is computed twice.
 */
class Pass {
  readonly #executor: Executor;
  readonly #program: Program;
  readonly #tokens: number;
  readonly #options: PassOptions;
  readonly #cuts: Set<number>;
  /** Steps from here on are not wanted. */
  readonly #end: number;
  readonly #ids: Uint32Array[] = [];
  /** Steps before it are submitted. */
  #cursor = 0;
  /** Layers before it have been asked for, read, and counted. */
  #asked = 0;
  #read = 0;
  #counted = 0;
  #reads: PendingRead[] = [];
  /** Layers that found an expert absent by themselves. */
  readonly #faulted = new Set<number>();

  constructor(executor: Executor, program: Program, tokens: number, options: PassOptions) {
    this.#executor = executor;
    this.#program = program;
    this.#tokens = tokens;
    this.#options = options;
    this.#cuts = new Set(options.cuts);
    this.#end = options.predicts ? program.steps.length : program.predictFirst;
  }

  async run(): Promise<PassResult> {
    this.#serveKnown();
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
    for (const { words } of this.#reads) void words.catch(() => {});
    this.#reads = [];
  }

  /**
   * Brings what the first layers are known to choose and RAM has: no cut is needed there. Their routers look up by
   * themselves, so that a choice other than the known one would fault.
   */
  #serveKnown(): void {
    const { cache, moe, store } = this.#executor.parts;
    for (const [index, ids] of (this.#options.known ?? []).entries()) {
      const { pool, topK } = moe[index]!;
      const atHand = (expert: number) => {
        const state = cache.state(pool, expert);
        return state === "ready" || (state === "absent" && store.inRam(pool, expert));
      };
      if (!ids.every(atHand)) return;
      this.#count(index, ids);
      const plan = planFault({ pool, ids, topK, cache });
      try {
        for (let round = plan.next(); round; round = plan.next()) {
          for (const load of round.loads) store.loadNow(pool, load);
          this.#executor.count("exactLoads", round.loads.length);
          plan.dispatch();
        }
      } finally {
        plan.close();
      }
      this.#cuts.delete(index);
    }
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
    for (const { moe, router } of this.#program.moe) {
      if (moe > place.moe && router >= this.#cursor && router < place.first) this.#cuts.add(moe);
    }
    if (this.#options.ahead) {
      for (const [moe, { router }] of this.#program.moe.entries()) {
        if (router < this.#cursor || router >= place.first || !this.#cuts.has(moe)) continue;
        if (this.#asked <= moe && !this.#readsSoon(router, moe + 1, place))
          this.#submit(router + 1, this.#choices(router + 1));
      }
    }
    const asked = this.#asked > place.moe;
    this.#submit(place.first, asked ? undefined : this.#choices(place.first));
    let reading: Reading = { fault: 0, rest: { words: new ArrayBuffer(0), byteOffset: 0 } };
    while (this.#read <= place.moe && reading.fault === 0) reading = await this.#take();
    return reading;
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
    const { result, scores, verdict, guess } = this.#executor.parts;
    const { logits, verifies } = this.#program;
    const choices = this.#choices(this.#end);
    const found = verifies ? verdict : result;
    const ranges = [{ buffer: found, byteOffset: 0, bytes: 4 * this.#foundCount }];
    if (this.#options.logits) {
      ranges.push({ buffer: logits, byteOffset: 0, bytes: 4 * this.#logitCount });
    }
    if (this.#scored) ranges.push({ buffer: scores, byteOffset: 0, bytes: 4 * this.#tokens });
    if (this.#options.predicts) ranges.push({ buffer: guess, byteOffset: 0, bytes: 4 });
    const read = { ...choices, ranges: [...choices.ranges, ...ranges] };
    this.#submit(this.#end, read, this.#scored);
    return this.#take();
  }

  /** What to read behind step `end`: the choices of all layers whose router is before it, as any of them may fault. */
  #choices(end: number): {
    firstMoe: number;
    endMoe: number;
    guessed: boolean;
    ranges: ReadRange[];
  } {
    const { control } = this.#executor.parts;
    const { ids, guesses, moe } = this.#program;
    const firstMoe = this.#asked;
    const endMoe = Math.max(firstMoe, moe.filter(({ router }) => router < end).length);
    const ranges = [{ buffer: control, byteOffset: 0, bytes: 4 }];
    for (let index = firstMoe; index < endMoe; index++) ranges.push(this.#rangeOf(ids, index));
    const guessed = guesses !== undefined && endMoe < moe.length;
    if (guessed) ranges.push(this.#rangeOf(guesses, endMoe));
    return { firstMoe, endMoe, guessed, ranges };
  }

  #rangeOf(buffer: GPUBuffer, moe: number): ReadRange {
    const bytes = 4 * this.#tokens * this.#executor.parts.moe[moe]!.topK;
    return { buffer, byteOffset: 4 * this.#program.routingFirst[moe]!, bytes };
  }

  /** Submits up to step `end`. */
  #submit(
    end: number,
    read?: Omit<PendingRead, "words"> & { ranges: readonly ReadRange[] },
    scored = false,
  ): void {
    if (end === this.#cursor && !read) return;
    const words = this.#executor.submit({
      program: this.#program,
      tokens: this.#tokens,
      first: this.#cursor,
      end,
      chosenByHost: this.#cuts,
      scored,
      ...(read && { ranges: read.ranges }),
    });
    this.#cursor = end;
    if (!read) return;
    this.#asked = read.endMoe;
    this.#reads.push({ ...read, words: words() });
  }

  /** Waits for the oldest readback and counts what it tells. */
  async #take(): Promise<Reading> {
    const { firstMoe, endMoe, guessed, words: promised } = this.#reads.shift()!;
    const words = await promised;
    const [fault = 0] = new Uint32Array(words, 0, 1);
    let byteOffset = 4;
    for (let moe = firstMoe; moe < endMoe; moe++) {
      const count = this.#tokens * this.#executor.parts.moe[moe]!.topK;
      this.#ids[moe] = new Uint32Array(words, byteOffset, count);
      byteOffset += 4 * count;
    }
    const known = fault > 0 ? fault : endMoe;
    this.#read = known;
    const { moe } = this.#executor.parts;
    while (this.#counted < known) this.#count(this.#counted, this.#ids[this.#counted]!);
    let guess: Uint32Array | undefined;
    if (guessed) {
      const count = this.#tokens * moe[endMoe]!.topK;
      guess = new Uint32Array(words, byteOffset, count);
      byteOffset += 4 * count;
    }
    if (fault === 0) this.#options.onChosen?.(endMoe - 1, this.#ids, guess);
    return { fault, rest: { words, byteOffset } };
  }

  /** Goes back to a layer that faulted: its choice is known, and what was submitted behind it did nothing. */
  #takeUp(moe: number): void {
    for (const { words } of this.#reads) void words.catch(() => {});
    this.#reads = [];
    this.#asked = moe + 1;
    this.#cuts.add(moe);
    this.#faulted.add(moe);
    this.#cursor = this.#program.moe[moe]!.router + 1;
    this.#executor.clearFault();
  }

  /** Brings the chosen experts of a layer, which `#plan` keeps where they are until the layer is planned to its end. */
  async #makeResident(place: MoeSteps): Promise<void> {
    const { cache, moe } = this.#executor.parts;
    const { pool, topK } = moe[place.moe]!;
    const plan = planFault({ pool, ids: this.#ids[place.moe]!, topK, cache });
    try {
      await this.#load(place, plan);
    } finally {
      plan.close();
    }
  }

  /**
   * Loads in rounds where the experts do not fit at once. Those that are there are computed while others are on their
   * way; when all of them come from RAM, one dispatch computes them all.
   */
  async #load(place: MoeSteps, plan: FaultPlan): Promise<void> {
    const { store, moe } = this.#executor.parts;
    const { pool } = moe[place.moe]!;
    const ahead =
      this.#options.ahead && place.router + 1 < place.first && !this.#faulted.has(place.moe);
    let waited = false;
    if (this.#tokens > 1) store.warm(moe[place.moe + 1]?.pool);
    let slots: Uint32Array | undefined; // written, but not submitted yet
    for (let round = plan.next(); round; round = plan.next()) {
      const { loads, waits } = round;
      if (ahead) this.#executor.count("exactLoads", loads.length);
      const instant = waits.length === 0 && loads.every(({ expert }) => store.inRam(pool, expert));
      if (slots && (!instant || overwrites(loads, slots))) {
        this.#submitExperts(place, slots);
        slots = undefined;
      }
      waited ||= !instant || (!ahead && loads.length > 0);
      if (instant) for (const load of loads) store.loadNow(pool, load);
      else await this.#wait(pool, loads, waits);
      const found = plan.dispatch();
      if (found) slots = slots ? merged(slots, found) : found;
    }
    if (waited) this.#executor.count("faults", 1);
    if (slots) this.#executor.writeSlots(this.#program, place.moe, slots);
    else this.#cursor = place.end;
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

  async #wait(pool: number, loads: readonly Load[], waits: readonly number[]): Promise<void> {
    const { store } = this.#executor.parts;
    const started = performance.now();
    const ends = Promise.allSettled([
      ...loads.map((load) => store.load(pool, load, "demand")),
      ...waits.map((expert) => store.landed(pool, expert)),
    ]);
    try {
      const failed = (await orAborted(ends, this.#options.signal)).find(
        (end) => end.status === "rejected",
      );
      if (failed) throw failed.reason;
    } finally {
      this.#executor.count("stallMs", performance.now() - started);
    }
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

  #result({ rest: { words, byteOffset } }: Reading): PassResult {
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
      verdict: this.#program.verifies ? found : undefined,
      guess: guess < vocab ? guess : undefined,
      logits: wantsLogits ? logits : undefined,
      logprobs: this.#scored ? logprobs : undefined,
      ids: this.#ids,
    };
  }
}

/** Whether a load goes into a slot that is still to be read. */
function overwrites(loads: readonly Load[], slots: Uint32Array): boolean {
  return loads.some(({ slot }) => slots.includes(slot));
}

/** The slots of both rounds: no pair is in both. */
function merged(a: Uint32Array, b: Uint32Array): Uint32Array {
  return a.map((slot, pair) => (slot === ABSENT ? b[pair]! : slot));
}

/** What `work` ends with, or "aborted" as soon as the signal fires; the work goes on behind it. */
async function orAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (!signal) return work;
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError("The pass"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function unusableNumbers(): SluiceError {
  return new SluiceError(
    "bad-file",
    "The model computed no usable number (its logits are not numbers). The file's weights are damaged, or this GPU's driver is: try another file or browser.",
  );
}
