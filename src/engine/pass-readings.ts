import type { ReadRange } from "../gpu/readback.ts";
import type { Program } from "../ops/program.ts";
import type { Executor } from "./executor.ts";

/** What to read behind a step: the control word, then the choices of layers `[firstMoe, endMoe)`, then a guess. */
export interface Asked {
  readonly firstMoe: number;
  readonly endMoe: number;
  readonly guessed: boolean;
  readonly ranges: readonly ReadRange[];
}

/** A readback under way. */
interface PendingRead extends Asked {
  readonly words: Promise<ArrayBuffer>;
}

/** What a readback brought. */
export interface Reading {
  /** 0, or 1 + the layer that faulted. */
  readonly fault: number;
  /** The text ended before the pass, or with it. */
  readonly stopped: boolean;
  /** Layers before it have been chosen for. */
  readonly endMoe: number;
  /** What was guessed for layer `endMoe`; if it was asked for. */
  readonly guess: Uint32Array | undefined;
  /** What follows the choices. */
  readonly rest: { readonly words: ArrayBuffer; readonly byteOffset: number };
}

/** The fault that no layer has: see `shaders/sample/give.wgsl`. */
const STOPPED = 0xffff_ffff;

/** The readbacks of one pass, in order, and the choices that they brought. */
export class PassReadings {
  /** For each MoE layer the chosen experts `[tokens, topK]`, best first. */
  readonly ids: Uint32Array[] = [];
  readonly #executor: Executor;
  readonly #program: Program;
  readonly #tokens: number;
  /** Layers before it have been asked for, and read. */
  #asked = 0;
  #read = 0;
  #pending: PendingRead[] = [];

  constructor(executor: Executor, program: Program, tokens: number) {
    this.#executor = executor;
    this.#program = program;
    this.#tokens = tokens;
  }

  get asked(): number {
    return this.#asked;
  }

  get read(): number {
    return this.#read;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** What to read behind step `end`: the choices of all layers whose router is before it, as any of them may fault. */
  choices(end: number): Asked & { readonly ranges: ReadRange[] } {
    const { control } = this.#executor.parts;
    const { guesses, moe } = this.#program;
    const firstMoe = this.#asked;
    let endMoe = firstMoe;
    while (endMoe < moe.length && moe[endMoe]!.router < end) endMoe++;
    const guessed = guesses !== undefined && endMoe < moe.length;
    const ranges: ReadRange[] = [{ buffer: control, byteOffset: 0, bytes: 4 }];
    for (const range of this.#rangesOf(firstMoe, endMoe)) ranges.push(range);
    if (guessed) ranges.push(this.#rangeOf(guesses, endMoe));
    return { firstMoe, endMoe, guessed, ranges };
  }

  /** A readback of what `choices` gave is under way. */
  add(asked: Asked, words: Promise<ArrayBuffer>): void {
    // It may fail while another one is waited for, or when nobody waits any more.
    words.catch(() => {});
    this.#asked = asked.endMoe;
    this.#pending.push({ ...asked, words });
  }

  /** Waits for the oldest readback. */
  async take(): Promise<Reading> {
    const { firstMoe, endMoe, guessed, words: promised } = this.#pending.shift()!;
    const words = await promised;
    const [word = 0] = new Uint32Array(words, 0, 1);
    let byteOffset = 4;
    const next = (moe: number) => {
      const count = this.#tokens * this.#executor.parts.moe[moe]!.topK;
      const ids = new Uint32Array(words, byteOffset, count);
      byteOffset += 4 * count;
      return ids;
    };
    for (let moe = firstMoe; moe < endMoe; moe++) this.ids[moe] = next(moe);
    const guess = guessed ? next(endMoe) : undefined;
    const stopped = word === STOPPED;
    const fault = stopped ? 0 : word;
    this.#read = fault > 0 ? fault : endMoe;
    return { fault, stopped, endMoe, guess, rest: { words, byteOffset } };
  }

  /** Layer `moe` has faulted: what was read of the layers behind it, or is on its way, means nothing. */
  goBack(moe: number): void {
    this.#pending = [];
    this.#asked = moe + 1;
  }

  /** Nobody waits for what is on its way. */
  close(): void {
    this.#pending = [];
  }

  /** The choices of layers `[firstMoe, endMoe)`; one piece where the pass fills the program's room for them. */
  #rangesOf(firstMoe: number, endMoe: number): ReadRange[] {
    const ranges: ReadRange[] = [];
    for (let moe = firstMoe; moe < endMoe; moe++) {
      const range = this.#rangeOf(this.#program.choices, moe);
      const before = ranges.at(-1);
      if (before && before.byteOffset + before.bytes === range.byteOffset) {
        ranges[ranges.length - 1] = { ...before, bytes: before.bytes + range.bytes };
      } else {
        ranges.push(range);
      }
    }
    return ranges;
  }

  #rangeOf(buffer: GPUBuffer, moe: number): ReadRange {
    const bytes = 4 * this.#tokens * this.#executor.parts.moe[moe]!.topK;
    return { buffer, byteOffset: 4 * this.#program.routingFirst[moe]!, bytes };
  }
}
