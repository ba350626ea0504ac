import type { ExpertCache } from "../experts/expert-cache.ts";
import { ABSENT } from "../experts/page-table.ts";
import type { GpuContext } from "../gpu/device.ts";
import { Readback, type ReadRange } from "../gpu/readback.ts";
import type { MoeSpec } from "../ops/ops.ts";
import { encodeSteps, type Program } from "../ops/program.ts";
import type { ExpertStore } from "./expert-store.ts";
import type { PassCosts } from "./pacer.ts";

/** Words of the control block before the token ids: see `shaders/control/read.wgsl`. */
export const CONTROL_WORDS = 4;

/** A readback fails a moment before the device says that it is lost. */
const LOSS_MS = 200;

/** Work since the executor was made. */
export interface ExecutorCounters {
  readonly dispatches: number;
  readonly submits: number;
  readonly readbacks: number;
  /** Layers whose experts were found absent by the GPU. */
  readonly faults: number;
  /** Time during which a layer's loads were waited for. */
  readonly stallMs: number;
  /** Experts brought because a layer's choice was read before its experts' turn. */
  readonly exactLoads: number;
}

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
}

/** A piece of a program to submit, and what to read behind it. */
export interface Piece {
  readonly program: Program;
  readonly tokens: number;
  readonly first: number;
  readonly end: number;
  /** Layers that only choose: the host writes their slots. */
  readonly chosenByHost: ReadonlySet<number>;
  readonly ranges?: readonly ReadRange[];
}

/** Submits recorded passes, or pieces of them, and reads back what they led to. */
export class Executor {
  readonly parts: ExecutorParts;
  readonly #readback: Readback;
  readonly #counters = {
    dispatches: 0,
    submits: 0,
    readbacks: 0,
    faults: 0,
    stallMs: 0,
    exactLoads: 0,
  };

  constructor(parts: ExecutorParts) {
    this.parts = parts;
    this.#readback = new Readback(parts.context.device);
  }

  get counters(): ExecutorCounters {
    return { ...this.#counters };
  }

  /** Adds to a counter that only the pass knows of. */
  count(what: "faults" | "stallMs" | "exactLoads", amount: number): void {
    this.#counters[what] += amount;
  }

  /** Writes what the steps of a pass go by. */
  begin(tokens: readonly number[], position: number): void {
    this.parts.context.device.queue.writeBuffer(
      this.parts.control,
      0,
      Uint32Array.of(0, tokens.length, position, 0, ...tokens),
    );
  }

  /** Submits a piece of a pass; the answer gives what its ranges hold behind it, one after another. */
  submit(piece: Piece): () => Promise<ArrayBuffer> {
    const { device } = this.parts.context;
    for (const { wordOffset, words } of this.parts.cache.pageTable.takeDirty()) {
      device.queue.writeBuffer(this.parts.pageTable, 4 * wordOffset, words as BufferSource);
    }
    const { program, tokens, first, end, chosenByHost, ranges } = piece;
    const encoder = device.createCommandEncoder({ label: "pass" });
    const pass = encoder.beginComputePass({ label: "pass" });
    this.#counters.dispatches += encodeSteps(pass, program, { first, end, tokens, chosenByHost });
    pass.end();
    const read = ranges && this.#readback.encode(encoder, ranges);
    device.queue.submit([encoder.finish()]);
    this.#counters.submits++;
    if (read) this.#counters.readbacks++;
    return () => this.#read(read!);
  }

  /** Writes the slots of a layer's pairs `[tokens, topK]`. */
  writeSlots(program: Program, moe: number, slots: Uint32Array): void {
    const offset = 4 * program.routingFirst[moe]!;
    this.parts.context.device.queue.writeBuffer(program.slots, offset, slots as BufferSource);
  }

  /** Lets the steps that are submitted next work again. */
  clearFault(): void {
    this.parts.context.device.queue.writeBuffer(this.parts.control, 0, Uint32Array.of(0));
  }

  /**
   * Times the decode program: an empty readback, a pass whose steps all return at once, and a whole one, without experts
   * and with whatever is in the first slots. To be called before the first pass of a conversation: it writes position 0 of the KV cache.
   */
  async calibrate(program: Program): Promise<PassCosts> {
    const { control, context, moe } = this.parts;
    const { queue } = context.device;
    const all = new Set(moe.map((_, index) => index));
    const ranges = [{ buffer: control, byteOffset: 0, bytes: 4 }];
    const time = async (fault: number, end: number) => {
      const times: number[] = [];
      for (let run = 0; run < CALIBRATION_RUNS; run++) {
        queue.writeBuffer(control, 0, Uint32Array.of(fault, 1, 0, 0, 0));
        const started = performance.now();
        await this.submit({ program, tokens: 1, first: 0, end, chosenByHost: all, ranges })();
        times.push(performance.now() - started);
        if (times[run]! > SLOW_PASS_MS) break;
      }
      return times.sort((a, b) => a - b)[times.length >> 1]!;
    };
    const setSlots = (slotOf: (choice: number) => number) => {
      for (const [index, { topK }] of moe.entries()) {
        const choices = Uint32Array.from({ length: topK }, (_, choice) => slotOf(choice));
        this.writeSlots(program, index, choices);
      }
    };
    const end = program.steps.length;
    const readback = await time(NO_LAYER, 0);
    const skipped = Math.max(0, (await time(NO_LAYER, end)) - readback);
    setSlots(() => ABSENT);
    const withoutExperts = Math.max(skipped, (await time(0, end)) - readback);
    setSlots((choice) => choice);
    const pass = Math.max(withoutExperts, (await time(0, end)) - readback);
    return { readback, skipped, withoutExperts, pass };
  }

  dispose(): void {
    this.#readback.dispose();
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

/** Each; the median counts. */
const CALIBRATION_RUNS = 3;

/** One run that takes longer is enough. */
const SLOW_PASS_MS = 300;

/** A fault that no layer has. */
const NO_LAYER = 0xffff_ffff;
