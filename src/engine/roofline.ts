import type { Ceilings } from "../gpu/ceilings.ts";
import type { StepWork } from "../ops/step-work.ts";
import type { Bound, Floor, KernelRow } from "../rpc/api.ts";

/** A step that was timed. */
export interface ProfiledStep {
  readonly kernel: string;
  /** Undefined before the first layer and behind the last. */
  readonly layer: number | undefined;
  readonly microseconds: number;
  /** Undefined when its kernel does not say what it does. */
  readonly work: StepWork | undefined;
}

/** The least time that work of so many dispatches can take, by each of the device's ceilings. */
export function floorOf(
  { bytes, multiplyAdds }: StepWork,
  dispatches: number,
  ceilings: Ceilings,
): Floor {
  return {
    bytesMs: (1000 * bytes) / ceilings.copyBytesPerSecond,
    multiplyAddsMs: (1000 * multiplyAdds) / ceilings.multiplyAddsPerSecond,
    dispatchesMs: (dispatches * ceilings.dispatchMicroseconds) / 1000,
  };
}

/** The ceiling that is reached first, and its time. */
export function highestOf({ bytesMs, multiplyAddsMs, dispatchesMs }: Floor): {
  readonly boundBy: Bound;
  readonly ms: number;
} {
  const ms = Math.max(bytesMs, multiplyAddsMs, dispatchesMs);
  if (ms === dispatchesMs) return { boundBy: "dispatches", ms };
  return { boundBy: ms === bytesMs ? "bytes" : "multiply-adds", ms };
}

/** One row for each kernel of each layer, in the order in which they first run. */
export function rowsOf(steps: readonly ProfiledStep[], ceilings: Ceilings): KernelRow[] {
  const groups = new Map<string, ProfiledStep[]>();
  for (const step of steps) {
    const key = `${step.layer} ${step.kernel}`;
    const group = groups.get(key);
    if (group) group.push(step);
    else groups.set(key, [step]);
  }
  return [...groups.values()].map((group) => rowOf(group, ceilings));
}

function rowOf(group: readonly ProfiledStep[], ceilings: Ceilings): KernelRow {
  const { kernel, layer } = group[0]!;
  const microseconds = group.reduce((sum, step) => sum + step.microseconds, 0);
  const work = totalWork(group);
  const { boundBy, ms } = highestOf(floorOf(work, group.length, ceilings));
  return {
    kernel,
    ...(layer !== undefined && { layer }),
    count: group.length,
    microseconds,
    ...work,
    boundBy,
    ofCeiling: microseconds > 0 ? (1000 * ms) / microseconds : 0,
  };
}

/** What all of `steps` do at least. */
export function totalWork(steps: readonly Pick<ProfiledStep, "work">[]): StepWork {
  return {
    bytes: steps.reduce((sum, { work }) => sum + (work?.bytes ?? 0), 0),
    multiplyAdds: steps.reduce((sum, { work }) => sum + (work?.multiplyAdds ?? 0), 0),
  };
}
