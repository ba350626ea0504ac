import { abortError } from "../errors.ts";
import type { ExpertCache, Load } from "../experts/expert-cache.ts";
import { ABSENT } from "../experts/page-table.ts";
import type { MoeSpec } from "../ops/ops.ts";
import { type FaultPlan, planFault } from "../scheduler/scheduler.ts";
import type { ExpertStore } from "./expert-store.ts";

/** What experts are brought with; all of it is the engine's. */
export interface PassExpertsParts {
  readonly moe: readonly MoeSpec[];
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly count: (what: "faults" | "stallMs" | "exactLoads", amount: number) => void;
}

/** The experts of a layer in a pass. */
export interface ExpertsPlace {
  /** The layer's place among MoE layers. */
  readonly moe: number;
  /** All of them are read at once, when the last has come. */
  readonly sums: boolean;
}

/** What {@link PassExperts} must know of a pass. */
export interface PassExpertsOptions<Place extends ExpertsPlace> {
  readonly tokens: number;
  readonly signal: AbortSignal | undefined;
  /** Submits a layer's expert products with these slots; what is brought next may overwrite them when it has resolved. */
  readonly submit: (place: Place, slots: Uint32Array) => Promise<void> | void;
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
export class PassExperts<Place extends ExpertsPlace> {
  readonly #parts: PassExpertsParts;
  readonly #options: PassExpertsOptions<Place>;

  constructor(parts: PassExpertsParts, options: PassExpertsOptions<Place>) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Brings what layer `moe` is known to choose, if all that is absent is in RAM; whether it is. */
  serveKnown(moe: number, ids: Uint32Array, onServed: () => void): boolean {
    const { cache, store, moe: specs } = this.#parts;
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
        this.#parts.count("exactLoads", round.loads.length);
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
  async makeResident(place: Place, ids: Uint32Array, early: boolean): Promise<ResidentExperts> {
    const { cache, moe } = this.#parts;
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
    place: Place,
    plan: FaultPlan,
    early: boolean,
  ): Promise<Omit<ResidentExperts, "release">> {
    const { store, moe } = this.#parts;
    const { pool } = moe[place.moe]!;
    let waited = false;
    if (this.#options.tokens > 1) store.warm(moe[place.moe + 1]?.pool);
    let slots: Uint32Array | undefined; // not submitted yet
    let all: Uint32Array | undefined;
    let inParts = false;
    for (let round = plan.next(); round; round = plan.next()) {
      const { loads, waits } = round;
      if (early) this.#parts.count("exactLoads", loads.length);
      const isInstant = () =>
        waits.length === 0 && loads.every(({ expert }) => store.inRam(pool, expert));
      let instant = isInstant();
      if (slots && (!instant || overwrites(loads, slots))) {
        await this.#submitBefore(loads, place, slots);
        slots = undefined;
        inParts = true;
        instant = isInstant(); // meanwhile RAM may have taken others in their place
      }
      waited ||= !instant || (!early && loads.length > 0);
      if (instant) for (const load of loads) store.loadNow(pool, load);
      else await this.#wait(pool, loads, waits);
      const found = plan.dispatch();
      if (!found) continue;
      slots = slots ? merged(slots, found) : found;
      all = all ? merged(all, found) : found;
    }
    if (waited) this.#parts.count("faults", 1);
    if (inParts && slots) await this.#options.submit(place, slots);
    return { slots: all, submitted: inParts || !all };
  }

  /** Submits what the loads of the next round may overwrite; where that fails, they are taken back. */
  async #submitBefore(loads: readonly Load[], place: Place, slots: Uint32Array): Promise<void> {
    try {
      await this.#options.submit(place, slots);
    } catch (error) {
      const { cache, moe } = this.#parts;
      for (const { expert } of loads) cache.abort(moe[place.moe]!.pool, expert);
      throw error;
    }
  }

  async #wait(pool: number, loads: readonly Load[], waits: readonly number[]): Promise<void> {
    const { store } = this.#parts;
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
      this.#parts.count("stallMs", performance.now() - started);
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
