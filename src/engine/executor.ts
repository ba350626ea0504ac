import type { ExpertCache } from "../experts/expert-cache.ts";
import type { GpuContext } from "../gpu/device.ts";
import { Readback, type ReadRange } from "../gpu/readback.ts";
import type { MoeSpec } from "../ops/ops.ts";
import {
  type ChooserName,
  encodeStep,
  encodeSteps,
  type Program,
  type Step,
} from "../ops/program.ts";
import { type ExecutorCounters, WorkCounters } from "./counters.ts";
import type { ExpertStore } from "./expert-store.ts";

/** Words of the control block before the token ids: see `shaders/control/read.wgsl`. */
export const CONTROL_WORDS = 4;

/** Which of them is the number of tokens. */
const TOKENS_WORD = 1;

/** A readback fails a moment before the device says that it is lost. */
const LOSS_MS = 200;

/** What an executor drives; all of it is the engine's. */
export interface ExecutorParts {
  readonly context: GpuContext;
  readonly moe: readonly MoeSpec[];
  readonly vocab: number;
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly control: GPUBuffer;
  readonly pageTable: GPUBuffer;
  readonly result: GPUBuffer;
  readonly reply: GPUBuffer;
  readonly seen: GPUBuffer;
  readonly scores: GPUBuffer;
  readonly verdict: GPUBuffer;
  readonly guess: GPUBuffer;
  /** `[max tokens]` u32: 1, 2, 3 and so on. */
  readonly counts: GPUBuffer;
}

/** A piece of a program to submit, and what to read behind it. */
export interface Piece {
  readonly program: Program;
  readonly tokens: number;
  readonly first: number;
  readonly end: number;
  /** Layers that only choose: the host writes their slots. */
  readonly chosenByHost: ReadonlySet<number>;
  /** The piece has the program's head: score the token that follows each of the pass's. */
  readonly scored?: boolean;
  /** How the next token is chosen behind the piece, which ends the pass then. */
  readonly chooser?: ChooserName | undefined;
  readonly ranges?: readonly ReadRange[] | undefined;
}

/** Submits recorded passes, or pieces of them, and reads back what they led to. */
export class Executor {
  readonly parts: ExecutorParts;
  readonly #readback: Readback;
  readonly #counters = new WorkCounters();

  constructor(parts: ExecutorParts) {
    this.parts = parts;
    this.#readback = new Readback(parts.context.device);
  }

  get counters(): ExecutorCounters {
    return this.#counters.values;
  }

  /** Adds to a counter that only the pass knows of. */
  count(what: "faults" | "stallMs" | "exactLoads" | "passes" | "inFlight", amount: number): void {
    this.#counters.add(what, amount);
  }

  /**
   * Writes what the steps of a pass go by.
   * @param options `behind` stands behind the tokens, and is read where they are scored or predicted from; `continues`
   * lets the chosen token be what the next pass computes
   */
  begin(
    tokens: readonly number[],
    position: number,
    options: { readonly behind?: number | undefined; readonly continues?: boolean } = {},
  ): void {
    const { behind = 0, continues = false } = options;
    this.#write(
      this.parts.control,
      0,
      Uint32Array.of(0, tokens.length, position, continues ? 1 : 0, ...tokens, behind),
    );
  }

  /**
   * Writes how the tokens of a reply are chosen; see `encodeReplyBlock`.
   * @param seen where tokens were seen last, `[vocab]`; if that is looked at
   */
  beginReply(block: BufferSource, seen?: BufferSource): void {
    this.#write(this.parts.reply, 0, block);
    if (seen) this.#write(this.parts.seen, 0, seen);
  }

  /** Submits a piece of a pass; the answer gives what its ranges hold behind it, one after another. */
  submit(piece: Piece): () => Promise<ArrayBuffer> {
    const { control, counts } = this.parts;
    const { device } = this.parts.context;
    for (const { wordOffset, words } of this.parts.cache.pageTable.takeDirty()) {
      this.#write(this.parts.pageTable, 4 * wordOffset, words as BufferSource);
    }
    const { program, tokens, first, end, chosenByHost, scored, chooser, ranges } = piece;
    const encoder = device.createCommandEncoder({ label: "pass" });
    const encode = (first: number, end: number, behind: readonly Step[] = []) => {
      const pass = encoder.beginComputePass({ label: "pass" });
      this.#counters.add(
        "dispatches",
        encodeSteps(pass, program, { first, end, tokens, chosenByHost }),
      );
      for (const step of behind) encodeStep(pass, step, tokens);
      this.#counters.add("dispatches", behind.length);
      pass.end();
    };
    const choosing = chooser && program.choosers?.[chooser];
    if (scored) {
      const { head, scorer } = program;
      encode(first, head.first);
      // The last count is the pass's own: a layer that faulted finds the control block as it was.
      for (let token = 0; token < tokens; token++) {
        encoder.copyBufferToBuffer(counts, 4 * token, control, 4 * TOKENS_WORD, 4);
        encode(head.first, head.end, scorer && [scorer]);
      }
      encode(head.end, end, choosing);
    } else {
      encode(first, end, choosing);
    }
    const read = ranges && this.#readback.encode(encoder, ranges);
    device.queue.submit([encoder.finish()]);
    this.#counters.add("submits", 1);
    if (read) this.#counters.add("readbacks", 1);
    return () => this.#read(read!);
  }

  /** Writes the slots of a layer's pairs `[tokens, topK]`. */
  writeSlots(program: Program, moe: number, slots: Uint32Array): void {
    const offset = 4 * (program.slotsFirst + program.routingFirst[moe]!);
    this.#write(program.choices, offset, slots as BufferSource);
  }

  /** Lets the steps that are submitted next work again. */
  clearFault(): void {
    this.#write(this.parts.control, 0, Uint32Array.of(0));
  }

  dispose(): void {
    this.#readback.dispose();
  }

  #write(buffer: GPUBuffer, byteOffset: number, data: BufferSource): void {
    this.#counters.add("bytesWritten", data.byteLength);
    this.parts.context.device.queue.writeBuffer(buffer, byteOffset, data);
  }

  /** What was encoded to be read. Throws "device-lost" for whatever way the loss shows itself first. */
  async #read(read: () => Promise<ArrayBuffer>): Promise<ArrayBuffer> {
    const { context } = this.parts;
    const { lost } = context;
    const loss = lost.then((error) => Promise.reject(error));
    let bytes: ArrayBuffer;
    try {
      bytes = await Promise.race([read(), loss]);
    } catch (cause) {
      const patience = new Promise((resolve) => setTimeout(resolve, LOSS_MS, cause));
      throw await Promise.race([lost, patience]);
    }
    context.check();
    return bytes;
  }
}
