import type { ExpertCache, Load } from "../../../src/experts/expert-cache.ts";
import { ABSENT } from "../../../src/experts/page-table.ts";
import { nextFill } from "../../../src/scheduler/fill.ts";
import type { FaultPlan } from "../../../src/scheduler/scheduler.ts";

/** What a slot holds while a record is being written over what was there. */
const PARTIAL = -1;

/** What the executor does when it has a choice: `choose(n)` is one of `0 .. n - 1`; only 0 may come without end. */
export type Choose = (count: number) => number;

/** One round as it was carried out. */
export interface ExecutedRound {
  readonly loads: readonly Load[];
  readonly waits: readonly number[];
  /** The pairs that the round computed. */
  readonly pairs: readonly number[];
}

/**
 * Carries out fault plans of one pool without a GPU: it keeps what every slot really holds, completes and fails loads in
 * the order that `choose` says, and lets a background filler work meanwhile. It throws where a GPU would compute with
 * the wrong weights.
 */
export class FakeExecutor {
  readonly #cache: ExpertCache;
  readonly #pool: number;
  readonly #choose: Choose;
  readonly #alone: boolean;
  readonly #slots = new Map<number, number>(); // slot -> expert or PARTIAL
  readonly #filling = new Map<number, number>(); // expert -> slot

  /** @param choose undefined: loads end in the order in which they began, and there is no filler */
  constructor(cache: ExpertCache, pool: number, choose?: Choose) {
    this.#cache = cache;
    this.#pool = pool;
    this.#alone = choose === undefined;
    this.#choose = choose ?? (() => 0);
    for (const expert of cache.ready(pool)) this.#slots.set(cache.slotOf(pool, expert)!, expert);
  }

  /** The experts that the filler is loading. */
  get filling(): readonly number[] {
    return [...this.#filling.keys()];
  }

  /** The filler begins a load if it can. */
  beginFill(): void {
    if (this.#alone) return;
    const next = nextFill(this.#cache);
    if (next?.pool !== this.#pool) return;
    const load = this.#cache.beginLoad(this.#pool, next.expert);
    if (load?.evicts !== undefined) throw new Error(`the filler evicted expert ${load.evicts}`);
    if (load) this.#begin(load, this.#filling);
  }

  /** Ends one of the filler's loads; it succeeds two times in three. */
  endFill(expert: number): void {
    this.#end(expert, this.#filling, this.#choose(3) < 2);
  }

  /**
   * Runs a plan to its end. With `failAt`, the load of that number (counted over all rounds) fails and the plan is
   * abandoned: what was computed until then is returned.
   */
  run(plan: FaultPlan, ids: Uint32Array, failAt = Infinity): ExecutedRound[] {
    const rounds: ExecutedRound[] = [];
    const uncomputed = new Set(ids);
    let loads = 0;
    for (let round = plan.next(); round; round = plan.next()) {
      const own = new Map<number, number>();
      for (const load of round.loads) {
        if (!uncomputed.has(load.expert)) throw new Error(`expert ${load.expert} is not wanted`);
        if (load.evicts !== undefined && uncomputed.has(load.evicts)) {
          throw new Error(`expert ${load.evicts} was evicted before it was computed`);
        }
        this.#begin(load, own);
      }
      while (own.size > 0 || round.waits.some((expert) => this.#filling.has(expert))) {
        const fails = own.size > 0 && loads === failAt;
        if (this.#step(own, fails)) loads++;
        if (fails) {
          for (const expert of own.keys()) this.#end(expert, own, this.#choose(2) > 0);
          plan.close();
          return rounds;
        }
      }
      if (this.#choose(4) === 0) this.beginFill();

      const slots = plan.dispatch();
      const pairs = slots ? this.#compute(slots, ids) : [];
      for (const pair of pairs) uncomputed.delete(ids[pair]!);
      rounds.push({ loads: round.loads, waits: round.waits, pairs });
    }
    return rounds;
  }

  /** Something happens: a load of the round or of the filler ends, or a fill begins. True if it was the round's. */
  #step(own: Map<number, number>, fails: boolean): boolean {
    const ending = [...own.keys(), ...this.#filling.keys()];
    const expert = fails ? ending[0] : ending[this.#choose(ending.length + 1)];
    const isOwn = expert !== undefined && own.has(expert);
    if (expert === undefined) this.beginFill();
    else if (isOwn) this.#end(expert, own, !fails);
    else this.endFill(expert);
    return isOwn;
  }

  #begin(load: Load, under: Map<number, number>): void {
    if (this.#slots.get(load.slot) === PARTIAL)
      throw new Error(`slot ${load.slot} is written twice`);
    this.#slots.set(load.slot, PARTIAL);
    under.set(load.expert, load.slot);
  }

  #end(expert: number, under: Map<number, number>, succeeds: boolean): void {
    const slot = under.get(expert)!;
    under.delete(expert);
    if (succeeds) {
      this.#slots.set(slot, expert);
      this.#cache.commit(this.#pool, expert);
    } else {
      this.#slots.delete(slot);
      this.#cache.abort(this.#pool, expert);
    }
  }

  /** The pairs of a dispatch, each of which must find its expert in its slot. */
  #compute(slots: Uint32Array, ids: Uint32Array): number[] {
    const pairs: number[] = [];
    slots.forEach((slot, pair) => {
      if (slot === ABSENT) return;
      if (this.#slots.get(slot) !== ids[pair]) {
        throw new Error(
          `pair ${pair} wants expert ${ids[pair]}: slot ${slot} has ${this.#slots.get(slot)}`,
        );
      }
      pairs.push(pair);
    });
    return pairs;
  }
}
