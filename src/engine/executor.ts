import { SluiceError } from "../errors.ts";
import type { ExpertCache } from "../experts/expert-cache.ts";
import type { GpuContext } from "../gpu/device.ts";
import { Readback, type ReadRange } from "../gpu/readback.ts";
import type { MoeSpec } from "../ops/ops.ts";
import { encodeSteps, type Program } from "../ops/program.ts";
import { planFault } from "../scheduler/scheduler.ts";
import type { ExpertStore } from "./expert-store.ts";

/** Words of the control block before the token ids: see `shaders/control/read.wgsl`. */
export const CONTROL_WORDS = 4;

/** What argmax writes when no logit compares: every one is NaN. */
const NOTHING = 0xffffffff;

/** A readback fails a moment before the device says that it is lost. */
const LOSS_MS = 200;

/** What one pass brings back. */
export interface PassResult {
  /** The most probable next token. */
  readonly next: number;
  /** `[vocab]`, when asked for. */
  readonly logits: Float32Array | undefined;
  /** For each MoE layer the chosen experts `[tokens, topK]`, best first. */
  readonly ids: readonly Uint32Array[];
}

/** Work since the executor was made. */
export interface ExecutorCounters {
  readonly dispatches: number;
  readonly submits: number;
  readonly readbacks: number;
  readonly faults: number;
  /** Time during which a fault's loads were waited for. */
  readonly stallMs: number;
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

/**
 * Runs recorded passes: one submit and one readback each when every chosen expert is resident. When one is absent the
 * GPU stops before that layer's experts; the executor makes them resident in rounds and goes on from there, so nothing
 * is computed twice.
 */
export class Executor {
  readonly #parts: ExecutorParts;
  readonly #readback: Readback;
  #counters = { dispatches: 0, submits: 0, readbacks: 0, faults: 0, stallMs: 0 };

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
    this.#readback = new Readback(parts.context.device);
  }

  get counters(): ExecutorCounters {
    return { ...this.#counters };
  }

  /**
   * Computes `tokens` at `position` and the logits after the last of them.
   * Throws "device-lost", "gpu-error", "bad-file" when the numbers are no numbers, "aborted" while a fault's loads are waited for,
   * and what the model's source throws.
   */
  async run(
    program: Program,
    tokens: readonly number[],
    position: number,
    options: { readonly logits: boolean; readonly signal?: AbortSignal | undefined },
  ): Promise<PassResult> {
    const { device } = this.#parts.context;
    device.queue.writeBuffer(
      this.#parts.control,
      0,
      Uint32Array.of(0, tokens.length, position, 0, ...tokens),
    );
    const { steps } = program;
    let read = await this.#submit(program, 0, steps.length, tokens.length, options.logits);
    let done = 0;
    while (read.fault > 0) {
      const faulted = read.fault - 1;
      this.#recordUses(read.ids, done, faulted + 1);
      done = faulted + 1;
      const end = await this.#resolve(program, faulted, tokens.length, read.ids, options.signal);
      read = await this.#submit(program, end, steps.length, tokens.length, options.logits);
    }
    this.#recordUses(read.ids, done, read.ids.length);
    if (read.next === NOTHING || read.next >= this.#parts.vocab) {
      throw new SluiceError(
        "bad-file",
        "The model computed no usable number (every logit is NaN). The file's weights are damaged, or this GPU's driver is: try another file or browser.",
      );
    }
    return { next: read.next, logits: read.logits, ids: read.ids };
  }

  dispose(): void {
    this.#readback.dispose();
  }

  /** Counts uses in layers `[first, end)`, before the loads that they lead to. */
  #recordUses(ids: readonly Uint32Array[], first: number, end: number): void {
    for (let moe = first; moe < end; moe++) {
      this.#parts.cache.use(this.#parts.moe[moe]!.pool, ids[moe]!);
    }
  }

  /** Computes the experts of a faulted layer, in rounds; the step with which the pass goes on. */
  async #resolve(
    program: Program,
    moe: number,
    tokens: number,
    ids: readonly Uint32Array[],
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { cache, store, control, context } = this.#parts;
    const { pool, topK } = this.#parts.moe[moe]!;
    const place = program.moe.find((steps) => steps.moe === moe)!;
    const { queue } = context.device;
    this.#counters.faults++;
    queue.writeBuffer(control, 0, Uint32Array.of(0));
    let first = place.afterRouter;
    const plan = planFault({ pool, ids: ids[moe]!, topK, cache });
    try {
      for (let round = plan.next(); round; round = plan.next()) {
        const started = performance.now();
        const loads = round.loads.map((load) => store.load(pool, load, signal));
        const waits = round.waits.map((expert) => store.landed(pool, expert));
        const ends = await Promise.allSettled([...loads, ...waits]);
        if (ends.length > 0) this.#counters.stallMs += performance.now() - started;
        const failed = ends.find((end) => end.status === "rejected");
        if (failed) throw failed.reason;
        const slots = plan.dispatch();
        if (!slots) continue;
        queue.writeBuffer(program.slots, 4 * program.routingFirst[moe]!, slots as BufferSource);
        this.#encode(program, first, place.end, tokens);
        first = place.first;
      }
    } finally {
      plan.close();
    }
    return place.end;
  }

  /** Submits steps `[first, end)` and reads back what they led to. */
  async #submit(
    program: Program,
    first: number,
    end: number,
    tokens: number,
    logits: boolean,
  ): Promise<PassResult & { readonly fault: number }> {
    const { control, result, moe, vocab, context } = this.#parts;
    const choices = moe.map(({ topK }) => 4 * tokens * topK);
    const ranges: ReadRange[] = [
      { buffer: control, byteOffset: 0, bytes: 4 },
      { buffer: result, byteOffset: 0, bytes: 4 },
      ...choices.map((bytes, index) => ({
        buffer: program.ids,
        byteOffset: 4 * program.routingFirst[index]!,
        bytes,
      })),
    ];
    if (logits) ranges.push({ buffer: program.logits, byteOffset: 0, bytes: 4 * vocab });
    const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
    this.#encode(program, first, end, tokens, (encoder) => this.#readback.encode(encoder, ranges));
    this.#counters.readbacks++;
    const words = await this.#read(bytes);
    context.check();
    let offset = 8;
    const ids = choices.map((length) => {
      const layer = new Uint32Array(words, offset, length / 4);
      offset += length;
      return layer;
    });
    const [fault = 0, next = 0] = new Uint32Array(words, 0, 2);
    return {
      fault,
      next,
      ids,
      logits: logits ? new Float32Array(words, offset, vocab) : undefined,
    };
  }

  /** What was encoded to be read. Throws "device-lost" for whatever way the loss shows itself first. */
  async #read(bytes: number): Promise<ArrayBuffer> {
    const { lost } = this.#parts.context;
    const loss = lost.then((error) => Promise.reject(error));
    try {
      return await Promise.race([this.#readback.read(bytes), loss]);
    } catch (cause) {
      const patience = new Promise((resolve) => setTimeout(resolve, LOSS_MS, cause));
      throw await Promise.race([lost, patience]);
    }
  }

  #encode(
    program: Program,
    first: number,
    end: number,
    tokens: number,
    after: (encoder: GPUCommandEncoder) => void = () => {},
  ): void {
    const { device } = this.#parts.context;
    for (const { wordOffset, words } of this.#parts.cache.pageTable.takeDirty()) {
      device.queue.writeBuffer(this.#parts.pageTable, 4 * wordOffset, words as BufferSource);
    }
    const encoder = device.createCommandEncoder({ label: "pass" });
    const pass = encoder.beginComputePass({ label: "pass" });
    this.#counters.dispatches += encodeSteps(pass, program.steps, first, end, tokens);
    pass.end();
    after(encoder);
    device.queue.submit([encoder.finish()]);
    this.#counters.submits++;
  }
}
