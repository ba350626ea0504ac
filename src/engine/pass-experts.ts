import { abortError } from "../errors.ts";
import type { Load } from "../experts/expert-cache.ts";
import { ABSENT } from "../experts/page-table.ts";
import type { MoeSteps } from "../ops/program.ts";
import { type FaultPlan, planFault } from "../scheduler/scheduler.ts";
import type { Executor } from "./executor.ts";

/** What {@link PassExperts} must know of a pass. */
export interface PassExpertsOptions {
  readonly tokens: number;
  readonly signal: AbortSignal | undefined;
  /** Submits a layer's expert products with these slots. */
  readonly submit: (place: MoeSteps, slots: Uint32Array) => void;
}

/** A layer whose experts have been brought. */
export interface ResidentExperts {
  /** Where those of all rounds are: what follows may read them at once. Undefined when nothing was chosen. */
  readonly slots: Uint32Array | undefined;
  /** Whether all rounds are submitted; otherwise there was one, and it is not. */
  readonly submitted: boolean;
  /** Lets go of them: to be called when what reads them is submitted. */
  readonly release: () => void;
}

/** Brings the experts that a pass wants. */
export class PassExperts {
  readonly #executor: Executor;
  readonly #options: PassExpertsOptions;

  constructor(executor: Executor, options: PassExpertsOptions) {
    this.#executor = executor;
    this.#options = options;
  }

  /** Brings what layer `moe` is known to choose, if all that is absent is in RAM; whether it is. */
  serveKnown(moe: number, ids: Uint32Array, onServed: () => void): boolean {
    const { cache, store, moe: specs } = this.#executor.parts;
    const { pool, topK } = specs[moe]!;
    const atHand = (expert: number) => {
      const state = cache.state(pool, expert);
      return state === "ready" || (state === "absent" && store.inRam(pool, expert));
    };
    if (!ids.every(atHand)) return false;
    onServed();
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
    return true;
  }

  /**
   * Brings the chosen experts of a layer, which its plan keeps where they are until the layer is planned to its end.
   * @param early whether the layer's choice was read before its experts' turn
   */
  async makeResident(place: MoeSteps, ids: Uint32Array, early: boolean): Promise<ResidentExperts> {
    const { cache, moe } = this.#executor.parts;
    const { pool, topK } = moe[place.moe]!;
    const plan = planFault({ pool, ids, topK, cache, holds: place.sums });
    try {
      const brought = await this.#load(place, plan, early);
      return { ...brought, release: () => plan.close() };
    } catch (error) {
      plan.close();
      throw error;
    }
  }

  /**
   * Loads in rounds where the experts do not fit at once. Those that are there are computed while others are on their
   * way; when all of them come from RAM, one dispatch computes them all.
   */
  async #load(
    place: MoeSteps,
    plan: FaultPlan,
    early: boolean,
  ): Promise<Omit<ResidentExperts, "release">> {
    const { store, moe } = this.#executor.parts;
    const { pool } = moe[place.moe]!;
    let waited = false;
    if (this.#options.tokens > 1) store.warm(moe[place.moe + 1]?.pool);
    let slots: Uint32Array | undefined; // not submitted yet
    let all: Uint32Array | undefined;
    let inParts = false;
    for (let round = plan.next(); round; round = plan.next()) {
      const { loads, waits } = round;
      if (early) this.#executor.count("exactLoads", loads.length);
      const instant = waits.length === 0 && loads.every(({ expert }) => store.inRam(pool, expert));
      if (slots && (!instant || overwrites(loads, slots))) {
        this.#options.submit(place, slots);
        slots = undefined;
        inParts = true;
      }
      waited ||= !instant || (!early && loads.length > 0);
      if (instant) for (const load of loads) store.loadNow(pool, load);
      else await this.#wait(pool, loads, waits);
      const found = plan.dispatch();
      if (!found) continue;
      slots = slots ? merged(slots, found) : found;
      all = all ? merged(all, found) : found;
    }
    if (waited) this.#executor.count("faults", 1);
    if (inParts && slots) this.#options.submit(place, slots);
    return { slots: all, submitted: inParts || !all };
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
