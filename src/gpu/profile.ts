import type { GpuClock } from "./clock.ts";
import { Readback } from "./readback.ts";

/** How steps were timed. */
export type ProfileMethod = "timestamp-query" | "repetition";

/** A dispatch to be timed. */
export interface TimedStep {
  encode(pass: GPUComputePassEncoder): void;
}

/** Times of steps, in their order. */
export interface StepTimes {
  readonly method: ProfileMethod;
  readonly microseconds: readonly number[];
}

/** Rounds over all steps: at least, at most, and no more once they took long enough. */
const ROUNDS = { least: 3, most: 60, enoughMs: 1200 } as const;

/** The share of a step's times at either end that does not count. */
const TRIMMED = 0.25;

/** Queries that a set may have. */
const MOST_QUERIES = 4096;

/** Bytes of a timestamp, in nanoseconds. */
const TIMESTAMP_BYTES = 8;

/**
 * Times each of `steps`, which are run in order: by timestamps around a compute pass for each, where the device has them,
 * otherwise by repeating each between two readbacks, its dispatch and all.
 *
 * Timestamps may be rounded (Chromium: to 100 µs), so that only a mean over rounds tells anything.
 * @param before makes the steps' inputs what they were; called before each submit
 */
export async function timeSteps(
  device: GPUDevice,
  clock: GpuClock,
  steps: readonly TimedStep[],
  before: () => void,
): Promise<StepTimes> {
  if (device.features.has("timestamp-query") && 2 * steps.length <= MOST_QUERIES) {
    const microseconds = await timeByTimestamps(device, steps, before);
    // A browser may offer timestamps that never move.
    if (microseconds.some((time) => time > 0)) return { method: "timestamp-query", microseconds };
  }
  const microseconds: number[] = [];
  for (const step of steps) {
    microseconds.push(1000 * (await clock.timePass((pass) => step.encode(pass), before)));
  }
  return { method: "repetition", microseconds };
}

async function timeByTimestamps(
  device: GPUDevice,
  steps: readonly TimedStep[],
  before: () => void,
): Promise<number[]> {
  const count = 2 * steps.length;
  const queries = device.createQuerySet({ type: "timestamp", count });
  const bytes = TIMESTAMP_BYTES * count;
  const { QUERY_RESOLVE, COPY_SRC } = GPUBufferUsage;
  const resolved = device.createBuffer({
    label: "timestamps",
    size: bytes,
    usage: QUERY_RESOLVE | COPY_SRC,
  });
  const readback = new Readback(device);
  const round = async (): Promise<number[]> => {
    before();
    const encoder = device.createCommandEncoder({ label: "profile" });
    for (const [index, step] of steps.entries()) {
      const pass = encoder.beginComputePass({
        timestampWrites: {
          querySet: queries,
          beginningOfPassWriteIndex: 2 * index,
          endOfPassWriteIndex: 2 * index + 1,
        },
      });
      step.encode(pass);
      pass.end();
    }
    encoder.resolveQuerySet(queries, 0, count, resolved, 0);
    const read = readback.encode(encoder, [{ buffer: resolved, byteOffset: 0, bytes }]);
    device.queue.submit([encoder.finish()]);
    const stamps = new BigUint64Array(await read());
    return steps.map((_, index) => Number(stamps[2 * index + 1]! - stamps[2 * index]!) / 1000);
  };
  try {
    await round(); // the first is cold
    const started = performance.now();
    const rounds: number[][] = [];
    while (
      rounds.length < ROUNDS.least ||
      (rounds.length < ROUNDS.most && performance.now() - started < ROUNDS.enoughMs)
    ) {
      rounds.push(await round());
    }
    return steps.map((_, index) => trimmedMean(rounds.map((times) => times[index]!)));
  } finally {
    readback.dispose();
    resolved.destroy();
    queries.destroy();
  }
}

/** The mean of what is left without the extremes; a clock that went back counts as 0. */
export function trimmedMean(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(TRIMMED * sorted.length);
  const kept = sorted.slice(cut, sorted.length - cut);
  return Math.max(0, kept.reduce((sum, value) => sum + value, 0) / kept.length);
}
