import { ABSENT } from "../experts/page-table.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { Program } from "../ops/program.ts";
import type { Executor } from "./executor.ts";
import type { Arenas } from "./expert-arenas.ts";

/** Milliseconds that were measured with the decode program. */
export interface PassCosts {
  /** From the end of the GPU's work to the host's knowing, and from there to the GPU's next work. */
  readonly readback: number;
  /** What of a readback is hidden where a layer's choice is read right behind its router, ahead of its experts. */
  readonly overlap: number;
  /** A whole pass, all experts resident. */
  readonly pass: number;
  /** From the end of a pass to the start of the next one where it is submitted once the first is read. */
  readonly turnaround: number;
  /** The same as `pass` without its experts' products. */
  readonly withoutExperts: number;
  /** A whole pass whose steps return at once. */
  readonly skipped: number;
  /** A byte of a record on its way from RAM to its slot. */
  readonly uploadPerByte: number;
}

/** What is timed. */
interface Calibrated {
  readonly executor: Executor;
  readonly arenas: Arenas;
  readonly program: Program;
  /** Bytes of a record, for each pool. */
  readonly recordBytes: readonly number[];
}

/**
 * Rounds of all measurements: the median of each counts, but for the first round, in which all is cold. Rounds end once
 * they took long enough.
 */
const ROUNDS = { least: 4, most: 10, enoughMs: 300 };

/** A first round that takes longer is enough. */
const SLOW_ROUND_MS = 1500;

/** A fault that no layer has. */
const NO_LAYER = 0xffff_ffff;

/** What was measured on a device, by kind of pass. */
const measured = new WeakMap<GpuContext, Map<string, PassCosts>>();

/**
 * The costs of the decode program: a device measures them once, so that loading a model again does not wait for it. To be
 * called when {@link calibrate} may be.
 * @param kind names everything of the program that the costs depend on
 */
export async function passCosts(kind: string, parts: Calibrated): Promise<PassCosts> {
  const { context } = parts.executor.parts;
  const ofDevice = measured.get(context) ?? new Map<string, PassCosts>();
  measured.set(context, ofDevice);
  const costs = ofDevice.get(kind) ?? (await calibrate(parts));
  ofDevice.set(kind, costs);
  return costs;
}

/**
 * Times the decode program. All kinds of passes take turns, so that what else the machine does slows them alike:
 *
 * - `skipped`: a fault is set, so that every step returns at once;
 * - `withoutExperts`: no choice has a slot;
 * - `whole`: with whatever is in the first slots;
 * - `pair`: two of them, submitted at once;
 * - `pieces`: the same as `whole`, read back before the experts of each layer;
 * - `ahead`: the same, read back right behind the router of each layer;
 * - `uploads`: the same, behind the upload of one record for each layer.
 *
 * To be called while no expert is loaded and before the first pass of a conversation: it writes the first slot of every
 * pool, and position 0 of the KV cache.
 */
async function calibrate(parts: Calibrated): Promise<PassCosts> {
  const { executor, arenas, recordBytes } = parts;
  const { moe } = executor.parts;
  const passes = {
    skipped: () => runPieces(parts, { fault: NO_LAYER, slots: "absent" }),
    withoutExperts: () => runPieces(parts, { fault: 0, slots: "absent" }),
    whole: () => runPieces(parts, { fault: 0, slots: "first" }),
    pair: async () => {
      const first = runPieces(parts, { fault: 0, slots: "first" });
      await Promise.all([first, runPieces(parts, { fault: 0, slots: "first" })]);
    },
    pieces: () => runPieces(parts, { fault: 0, slots: "first", cut: "experts" }),
    ahead: () => runPieces(parts, { fault: 0, slots: "first", cut: "router" }),
    uploads: () => {
      for (const { pool } of moe) arenas.uploadNothing(pool);
      return runPieces(parts, { fault: 0, slots: "first" });
    },
  };
  const times = await timeInTurns(passes);

  const uploaded = moe.reduce((bytes, { pool }) => bytes + recordBytes[pool]!, 0);
  const layers = Math.max(1, parts.program.moe.length);
  const readback = above(times.pieces, times.whole) / layers;
  const readAhead = above(times.ahead, times.whole) / layers;
  const skipped = above(times.skipped, readback);
  const withoutExperts = Math.max(skipped, times.withoutExperts - readback);
  return {
    readback,
    overlap: above(readback, readAhead),
    skipped,
    // It has a readback in it, whatever the noise says.
    turnaround: Math.max(readback, 2 * times.whole - times.pair),
    withoutExperts,
    pass: Math.max(withoutExperts, times.whole - readback),
    uploadPerByte: uploaded > 0 ? above(times.uploads, times.whole) / uploaded : 0,
  };

  function above(time: number, base: number): number {
    return Math.max(0, time - base);
  }
}

/** Milliseconds of each kind of work: the median over the rounds. */
async function timeInTurns<Kind extends string>(
  works: Readonly<Record<Kind, () => Promise<void>>>,
): Promise<Record<Kind, number>> {
  const kinds = Object.keys(works) as Kind[];
  const times = Object.fromEntries(kinds.map((kind) => [kind, [] as number[]])) as Record<
    Kind,
    number[]
  >;
  const started = performance.now();
  for (let round = 0; round < ROUNDS.most; round++) {
    for (const kind of kinds) {
      const before = performance.now();
      await works[kind]();
      times[kind].push(performance.now() - before);
    }
    const tookMs = performance.now() - started;
    if (round + 1 >= ROUNDS.least && tookMs > ROUNDS.enoughMs) break;
    if (tookMs > SLOW_ROUND_MS) break;
    if (round === 0) for (const kind of kinds) times[kind] = [];
  }
  const medians = kinds.map((kind) => {
    const sorted = times[kind].sort((a, b) => a - b);
    return [kind, sorted[sorted.length >> 1]!] as const;
  });
  return Object.fromEntries(medians) as Record<Kind, number>;
}

/**
 * One pass of one token up to its readback: in one piece, or cut before the experts of each layer, with a readback there
 * or behind the layer's router.
 */
async function runPieces(
  { executor, program }: Calibrated,
  { fault, slots, cut }: { fault: number; slots: "absent" | "first"; cut?: "experts" | "router" },
): Promise<void> {
  const { context, control, moe } = executor.parts;
  const chosenByHost = new Set(moe.keys());
  const ranges = [{ buffer: control, byteOffset: 0, bytes: 4 }];
  const submit = (first: number, end: number, chooser?: "top") =>
    executor.submit({ program, tokens: 1, first, end, chosenByHost, chooser, ranges });
  const write = (index: number) => {
    const choices = Uint32Array.from({ length: moe[index]!.topK }, (_, choice) => choice);
    executor.writeSlots(program, index, slots === "first" ? choices : choices.fill(ABSENT));
  };
  context.device.queue.writeBuffer(control, 0, Uint32Array.of(fault, 1, 0, 0, 0));
  if (!cut) for (const index of moe.keys()) write(index);
  let cursor = 0;
  for (const place of cut ? program.moe : []) {
    const readAt = cut === "router" ? Math.max(cursor, place.router + 1) : place.first;
    const read = submit(cursor, readAt)();
    if (readAt < place.first) submit(readAt, place.first);
    await read;
    write(place.moe);
    cursor = place.first;
  }
  await submit(cursor, program.steps.length, "top")();
}
