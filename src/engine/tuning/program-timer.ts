import type { GpuContext } from "../../gpu/device.ts";
import { Readback } from "../../gpu/readback.ts";
import { encodeStep, type Program, type Step } from "../../ops/program.ts";
import type { Executor } from "../executor.ts";

/** Least time of a measurement: a clock may tell whole milliseconds, and waking up takes one. */
const SAMPLE_MS = 5;

/** More repetitions add nothing but dispatches. */
const MOST_REPEATS = 64;

/** A family's steps of a pass that take longer are timed one of a kind; if those still do, not at all. */
const LONG_SAMPLE_MS = 40;

/** What scratch holds while decode steps are timed: every other activation is 0, as many are behind ReLU. */
const ACTIVATIONS = Float32Array.from({ length: 16_384 }, (_, index) => index % 2);

/** What is timed. */
export interface TimedProgram {
  readonly program: Program;
  readonly steps: readonly Step[];
}

/**
 * Times steps of recorded programs. Owned by its maker, who calls `dispose`.
 *
 * Steps are timed by themselves, so what they read is not what a pass would leave them. In programs of one token that is
 * harmless. In others steps may loop over what earlier ones counted: there scratch is zero.
 */
export class ProgramTimer {
  readonly #context: GpuContext;
  readonly #executor: Executor;
  readonly #readback: Readback;
  #repeats = 1;

  constructor(executor: Executor) {
    this.#context = executor.parts.context;
    this.#executor = executor;
    this.#readback = new Readback(this.#context.device);
  }

  /** Makes a program's scratch and control block ready to time its steps. */
  prepare({ maxTokens, scratch }: Program, contextTokens: number): void {
    const tokens = Array.from({ length: maxTokens }, () => 0);
    const position = maxTokens === 1 ? Math.min(contextTokens, TYPICAL_CONTEXT) - 1 : 0;
    this.#executor.begin(tokens, position);
    const { queue } = this.#context.device;
    const content = maxTokens === 1 ? ACTIVATIONS : ZEROS;
    for (const buffer of scratch) {
      for (let offset = 0; offset < buffer.size; offset += content.byteLength) {
        const floats = Math.min(content.length, (buffer.size - offset) / 4);
        queue.writeBuffer(buffer, offset, content, 0, floats);
      }
    }
  }

  /**
   * Chooses what of `programs` to time, the first of which decides how often it is repeated. Undefined where that would
   * take too long.
   */
  async choose(programs: readonly TimedProgram[]): Promise<readonly TimedProgram[] | undefined> {
    const [first] = programs;
    if (!first) return undefined;
    const kinds = programs.map((timed) => ({ ...timed, steps: oneOfAKind(timed) }));
    this.#repeats = 1;
    await this.measure(kinds[0]!);
    const once = await this.measure(kinds[0]!);
    if (once > LONG_SAMPLE_MS) return undefined;
    const all = (once * first.steps.length) / kinds[0]!.steps.length;
    const chosen = all > LONG_SAMPLE_MS ? kinds : programs;
    const pass = all > LONG_SAMPLE_MS ? once : all;
    this.#repeats = Math.min(MOST_REPEATS, Math.max(1, Math.ceil(SAMPLE_MS / pass)));
    return chosen;
  }

  /** Milliseconds of one run of the steps, on average over the repetitions. */
  async measure({ program, steps }: TimedProgram): Promise<number> {
    const { device } = this.#context;
    const encoder = device.createCommandEncoder({ label: "tuning" });
    const pass = encoder.beginComputePass({ label: "tuning" });
    for (let repeat = 0; repeat < this.#repeats; repeat++) {
      for (const step of steps) encodeStep(pass, step, program.maxTokens);
    }
    pass.end();
    const { control } = this.#executor.parts;
    const read = this.#readback.encode(encoder, [{ buffer: control, byteOffset: 0, bytes: 4 }]);
    const started = performance.now();
    device.queue.submit([encoder.finish()]);
    await read();
    return (performance.now() - started) / this.#repeats;
  }

  dispose(): void {
    this.#readback.dispose();
  }
}

/** Keys that a decode step's attention sees while it is timed. */
const TYPICAL_CONTEXT = 512;

const ZEROS = new Float32Array(16_384);

/** The steps of a pass, routers only choosing: none sets a fault, which would stop what comes behind it. */
export function faultlessSteps(program: Program): Step[] {
  return program.steps.map((step, index) => program.routers.get(index)?.chooser ?? step);
}

/**
 * The first of all steps of the same pipeline and work. Not of the same grid: that is a candidate's own, and where one tells
 * fewer steps apart it would be timed for less.
 */
export function oneOfAKind({
  program,
  steps,
}: {
  readonly program: Pick<Program, "maxTokens">;
  readonly steps: readonly Pick<Step, "pipeline" | "work">[];
}): Step[] {
  const shape = { tokens: program.maxTokens, position: 0 };
  const works = new Map<GPUComputePipeline, Set<string>>();
  return steps.filter(({ pipeline, work }) => {
    const seen = works.get(pipeline) ?? new Set();
    works.set(pipeline, seen);
    const key = JSON.stringify(work?.(shape));
    return !seen.has(key) && seen.add(key);
  }) as Step[];
}
