import { type RaceResult, race } from "../../gpu/autotune.ts";
import { type FamilyName, familyNames } from "../../kernels/parts.ts";
import type { ModelSpec } from "../../models/model.ts";
import type { GpuResources } from "../../ops/gpu-resources.ts";
import type { Program } from "../../ops/program.ts";
import type { VariantReport } from "../../rpc/api.ts";
import type { Executor } from "../executor.ts";
import type { Arenas } from "../expert-arenas.ts";
import {
  disposePrograms,
  type ProgramOptions,
  type Programs,
  recordProgram,
  recordPrograms,
} from "../programs.ts";
import {
  rivalsOf,
  sumOrder,
  type TunedDevice,
  type VariantChoice,
  variantOf,
  withOneOrder,
} from "./choices.ts";
import type { Medians } from "./kept.ts";
import { fillSlots, pointAtSlots } from "./noise.ts";
import type { VariantPlan } from "./plan.ts";
import { faultlessSteps, ProgramTimer, type TimedProgram } from "./program-timer.ts";

/** A program whose steps are timed. */
type TimedName = "decode" | "prefill";

/** The families in the order of what there is to win, with the program whose steps are timed. */
const ORDER: readonly (readonly [FamilyName, TimedName])[] = [
  ["matrix", "decode"],
  ["experts", "decode"],
  ["columns", "decode"],
  ["batch", "prefill"],
  ["attention", "decode"],
  ["norm", "decode"],
  ["rotate", "prefill"],
  ["router", "decode"],
];

/** A model whose programs are recorded and whose experts are not loaded yet. */
export interface Tunable {
  readonly executor: Executor;
  readonly arenas: Arenas;
  readonly spec: ModelSpec;
  readonly resources: GpuResources;
  readonly programs: Programs;
  /** What the programs are recorded for. */
  readonly recording: ProgramOptions;
  /** Bytes of a record, for each pool. */
  readonly recordBytes: readonly number[];
}

/** What is to be found out: the families of a plan that are open. */
type TuningTask = Pick<VariantPlan, "device" | "choice" | "open" | "pinned" | "tuningMs">;

/**
 * Carries out what a plan leaves to be found out; the programs are recorded again where another variant won. What is not
 * given back is disposed of.
 */
export async function tunePrograms(
  plan: VariantPlan,
  tunable: Tunable,
): Promise<Pick<Tunable, "resources" | "programs"> & { readonly variants: VariantReport }> {
  const { resources, programs, spec, recording } = tunable;
  if (plan.open.length === 0) return { variants: plan.report, resources, programs };
  const settled = await plan.settle(await tune(plan, tunable));
  const same = familyNames.every((family) => settled.choice[family] === plan.choice[family]);
  if (same) return { variants: settled.report, resources, programs };
  disposePrograms(programs);
  const tuned = { ...resources, variant: settled.variant };
  return {
    variants: settled.report,
    resources: tuned,
    programs: await recordPrograms(tuned, spec, recording),
  };
}

/**
 * Times the candidates of each open family on the model's own steps, one family after another, within the task's time. A
 * family for which no time is left keeps its choice and gets no medians; one in which nothing can be chosen gets none to
 * its name.
 *
 * To be called while no expert is loaded and before the first pass of a conversation: it writes slots, scratch and the
 * KV cache.
 */
async function tune(
  task: TuningTask,
  tunable: Tunable,
): Promise<{ readonly choice: VariantChoice; readonly medians: Medians }> {
  const deadline = performance.now() + task.tuningMs;
  const timer = new ProgramTimer(tunable.executor);
  const medians: Record<string, Readonly<Record<string, number>>> = {};
  let { choice } = task;
  try {
    const filled = fillSlots(tunable.arenas, tunable.spec.moe, tunable.recordBytes);
    const order = ORDER.filter(([family]) => task.open.includes(family));
    for (const [index, [family, which]] of order.entries()) {
      choice = withOneOrder(choice, task.pinned, task.device);
      const rivals = rivalsFor(family, choice, task);
      const left = deadline - performance.now();
      if (left <= 0) break;
      if (rivals.length === 0) {
        medians[family] = {};
        continue;
      }
      const untilMs = deadline - left + Math.min(left, (2 * left) / (order.length - index));
      const heat = new Heat({ family, which, choice, device: task.device, filled, tunable });
      const result = await heat.run(timer, rivals, untilMs);
      if (!result?.decided) continue;
      medians[family] = result.medians;
      choice = { ...choice, [family]: result.winner };
    }
  } finally {
    timer.dispose();
  }
  return { choice: withOneOrder(choice, task.pinned, task.device), medians };
}

/** What may stand against a family's choice. Sums of one and of several tokens are ordered alike: the batch gives way. */
function rivalsFor(
  family: FamilyName,
  choice: VariantChoice,
  { device, pinned }: TuningTask,
): string[] {
  const others = rivalsOf(family, device).filter((name) => name !== choice[family]);
  const bound = family === "batch" || (family === "matrix" && pinned.batch !== undefined);
  if (!bound) return others;
  const order = sumOrder(family, choice[family]);
  return others.filter((name) => sumOrder(family, name) === order);
}

/** What a family's race is held with. */
interface HeatParts {
  readonly family: FamilyName;
  readonly which: TimedName;
  readonly choice: VariantChoice;
  readonly device: TunedDevice;
  /** Slots of each pool that hold something. */
  readonly filled: readonly number[];
  readonly tunable: Tunable;
}

/** One family's race: programs recorded with each candidate, which share the scratch of the model's own. */
class Heat {
  readonly #parts: HeatParts;
  readonly #recorded = new Map<string, Program>();

  constructor(parts: HeatParts) {
    this.#parts = parts;
  }

  /** Undefined where there was no time. */
  async run(
    timer: ProgramTimer,
    rivals: readonly string[],
    untilMs: number,
  ): Promise<Pick<RaceResult, "winner" | "medians" | "decided"> | undefined> {
    const { family, choice, filled, tunable } = this.#parts;
    const standing = choice[family];
    const now = () => performance.now();
    try {
      await Promise.all([standing, ...rivals].map((name) => this.#record(name, untilMs)));
      if (now() >= untilMs) return undefined;
      const entrants = this.#entrants(standing);
      const nothing = { winner: standing, medians: {}, decided: true };
      if (!entrants) return nothing;
      for (const { program } of entrants.values()) {
        timer.prepare(program, tunable.resources.contextTokens);
        pointAtSlots(tunable.executor, program, filled);
      }
      const timed = await timer.choose([...entrants.values()]);
      if (!timed) return nothing;
      const programs = new Map([...entrants.keys()].map((name, index) => [name, timed[index]!]));
      return await race({
        standing,
        rivals: [...entrants.keys()].slice(1),
        measure: (name) => timer.measure(programs.get(name)!),
        now,
        untilMs,
      });
    } finally {
      for (const program of this.#recorded.values()) program.dispose();
    }
  }

  /** Records the program with a candidate. One whose shaders are refused, or take too long, does not run. */
  async #record(name: string, untilMs: number): Promise<void> {
    const { family, which, choice, device, tunable } = this.#parts;
    const { resources, spec, programs } = tunable;
    const variant = variantOf({ ...choice, [family]: name }, device);
    const { scratch } = programs[which];
    const own = { ...resources, variant };
    const recording = recordProgram(own, spec, which, tunable.recording, scratch);
    const patience = untilMs - performance.now();
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, patience));
    const program = await Promise.race([recording.catch(() => undefined), late]);
    if (program) this.#recorded.set(name, program);
    else
      void recording.then(
        (program) => program.dispose(),
        () => {},
      );
  }

  /** What of each candidate's program is timed: the steps in which it differs from others. The standing one is first. */
  #entrants(standing: string): ReadonlyMap<string, TimedProgram> | undefined {
    const own = this.#recorded.get(standing);
    if (!own) return undefined;
    const pipelines = new Set(own.steps.map(({ pipeline }) => pipeline));
    const others = new Map([...this.#recorded].filter(([name]) => name !== standing));
    const replaced = new Set<GPUComputePipeline>();
    for (const [name, { steps }] of others) {
      const there = new Set(steps.map(({ pipeline }) => pipeline));
      const gone = [...pipelines].filter((pipeline) => !there.has(pipeline));
      for (const pipeline of gone) replaced.add(pipeline);
      // Where nothing differs, the candidates are the same for this model.
      if (gone.length === 0) others.delete(name);
    }
    if (others.size === 0) return undefined;
    const differs = (pipeline: GPUComputePipeline) =>
      replaced.has(pipeline) || !pipelines.has(pipeline);
    const timed = (program: Program): TimedProgram => ({
      program,
      steps: faultlessSteps(program).filter(({ pipeline }) => differs(pipeline)),
    });
    return new Map(
      [[standing, own] as const, ...others].map(([name, program]) => [name, timed(program)]),
    );
  }
}
