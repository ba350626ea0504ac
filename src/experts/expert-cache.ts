import { ABSENT, PageTable } from "./page-table.ts";
import type { EvictionPolicy, PolicyContext } from "./policies/policy.ts";
import { type ExpertState, type Load, Pool, type PoolResize } from "./pool.ts";

export type { ExpertState, Load } from "./pool.ts";

/** What happened since the cache was made. */
export interface CacheCounters {
  /** Distinct experts that passes used and that were ready. */
  readonly hits: number;
  /** Distinct experts that passes used and that were not. */
  readonly misses: number;
  /** Loads that were committed. */
  readonly loads: number;
  /** Experts that made room for a load. */
  readonly evictions: number;
}

/** What a change of the slot counts does. Each move goes from a slot that ends, so none overwrites another's source. */
export interface ResizePlan {
  readonly moves: readonly ({ readonly pool: number } & PoolResize["moves"][number])[];
  readonly dropped: readonly ({ readonly pool: number } & PoolResize["dropped"][number])[];
  /** Ready experts after the change. */
  readonly kept: number;
}

/** How an {@link ExpertCache} is made. */
export interface ExpertCacheOptions {
  /** Experts of a pool. */
  readonly experts: number;
  /** Slots of each pool, at most `experts`. */
  readonly slotCounts: readonly number[];
  /** Makes the policy of a pool: an entry of the registry of policies, or a function that ignores what it is given. */
  readonly createPolicy: (context: PolicyContext, pool: number) => EvictionPolicy;
  /** What it takes to bring an expert back, for policies that ask. Default: the same for all. */
  readonly reloadCost?: (pool: number, expert: number) => number;
}

/**
 * Which expert is in which GPU slot, for pools that each have their own slots.
 *
 * Only bookkeeping: it returns the loads to do as data and is told of their end. An expert is absent, loading or ready;
 * a pinned or loading one is never evicted. The page table holds exactly the ready ones. A call with a pool or expert
 * that does not exist, or in a state that its docstring rules out, is a bug of the caller and throws a plain `Error`.
 */
export class ExpertCache {
  readonly experts: number;
  /** The GPU's view: upload `takeDirty()` before a pass is submitted. */
  readonly pageTable: PageTable;
  readonly #pools: readonly Pool[];
  #hits = 0;
  #misses = 0;
  #loads = 0;
  #evictions = 0;

  constructor({ experts, slotCounts, createPolicy, reloadCost = () => 1 }: ExpertCacheOptions) {
    this.experts = experts;
    this.#pools = slotCounts.map((slots, pool) => {
      const context = { experts, reloadCost: (expert: number) => reloadCost(pool, expert) };
      return new Pool(pool, experts, slots, createPolicy(context, pool));
    });
    this.pageTable = new PageTable(slotCounts.length, experts);
  }

  /** How many pools there are. */
  get pools(): number {
    return this.#pools.length;
  }

  get counters(): CacheCounters {
    return {
      hits: this.#hits,
      misses: this.#misses,
      loads: this.#loads,
      evictions: this.#evictions,
    };
  }

  /** Where an expert is. */
  state(pool: number, expert: number): ExpertState {
    return this.#pool(pool).state(expert);
  }

  /** The slot of a ready expert; undefined for any other. */
  slotOf(pool: number, expert: number): number | undefined {
    return this.state(pool, expert) === "ready" ? this.pageTable.slot(pool, expert) : undefined;
  }

  /** Passes that used an expert, saturating at 65535. */
  uses(pool: number, expert: number): number {
    return this.#pool(pool).uses(expert);
  }

  /** How often an expert is pinned. */
  pins(pool: number, expert: number): number {
    return this.#pool(pool).pins(expert);
  }

  /** Slots of a pool. */
  slotCount(pool: number): number {
    return this.#pool(pool).slotCount;
  }

  /** How many slots of a pool hold nothing and wait for nothing. */
  emptySlots(pool: number): number {
    return this.#pool(pool).emptySlots;
  }

  /** The experts of a pool that are being loaded, in slot order. */
  loading(pool: number): number[] {
    return this.#pool(pool).inState("loading");
  }

  /** The experts of a pool that are ready, in slot order. */
  ready(pool: number): number[] {
    return this.#pool(pool).inState("ready");
  }

  /** Experts that are ready, over all pools. */
  get readyCount(): number {
    return this.#pools.reduce((sum, pool) => sum + pool.inState("ready").length, 0);
  }

  /**
   * Records what one pass chose in a pool, in the order of its tokens; each distinct expert counts once, as a hit if it
   * is ready. To be called once a pass and layer, before the loads that it leads to.
   */
  use(pool: number, experts: Iterable<number>): void {
    const { hits, misses } = this.#pool(pool).use(experts);
    this.#hits += hits;
    this.#misses += misses;
  }

  /**
   * Gives an absent expert a slot: the lowest empty one, else that of the policy's victim, which is absent from now on.
   * Atomic: undefined, and no change, when every slot is pinned or loading. Ends with `commit` or `abort`.
   */
  beginLoad(pool: number, expert: number): Load | undefined {
    const load = this.#pool(pool).beginLoad(expert);
    if (load?.evicts !== undefined) {
      this.pageTable.set(pool, load.evicts, ABSENT);
      this.#evictions++;
    }
    return load;
  }

  /** The record of a loading expert is in its slot (its upload is in the queue): the expert is ready. */
  commit(pool: number, expert: number): void {
    this.pageTable.set(pool, expert, this.#pool(pool).commit(expert));
    this.#loads++;
  }

  /** The load of a loading expert failed: the expert is absent and its slot empty. What it evicted stays absent. */
  abort(pool: number, expert: number): void {
    this.#pool(pool).abort(expert);
  }

  /**
   * Keeps an expert from being evicted until `release`, as often as it was pinned. An expert can be pinned in any
   * state: pins outlive loads that fail.
   */
  pin(pool: number, expert: number): void {
    this.#pool(pool).pin(expert);
  }

  /** Takes back one `pin`. */
  release(pool: number, expert: number): void {
    this.#pool(pool).release(expert);
  }

  /**
   * Changes the number of slots of every pool. The policy chooses what leaves a pool that shrinks; experts in slots
   * that end move to the lowest slots that are free. Atomic: undefined, and no change, while a slot that ends is pinned
   * or loading; try again when it is not.
   */
  resize(slotCounts: readonly number[]): ResizePlan | undefined {
    if (slotCounts.length !== this.pools) {
      throw new Error(`unreachable: ${slotCounts.length} slot counts for ${this.pools} pools`);
    }
    const movable = slotCounts.map((slots, pool) => this.#pool(pool).canResize(slots));
    if (movable.includes(false)) return undefined;

    const moves: ResizePlan["moves"][number][] = [];
    const dropped: ResizePlan["dropped"][number][] = [];
    slotCounts.forEach((slots, pool) => {
      const change = this.#pool(pool).resize(slots);
      for (const { expert } of change.dropped) this.pageTable.set(pool, expert, ABSENT);
      for (const { expert, toSlot } of change.moves) this.pageTable.set(pool, expert, toSlot);
      moves.push(...change.moves.map((move) => ({ pool, ...move })));
      dropped.push(...change.dropped.map((drop) => ({ pool, ...drop })));
    });
    return { moves, dropped, kept: this.readyCount };
  }

  /** Copies of the states (0 absent, 1 loading, 2 ready) and of the use counts, both `[pools, experts]`. */
  snapshot(): { state: Uint8Array; uses: Uint16Array } {
    const state = new Uint8Array(this.pools * this.experts);
    const uses = new Uint16Array(this.pools * this.experts);
    this.#pools.forEach((pool, index) => {
      state.set(pool.states, index * this.experts);
      uses.set(pool.useCounts, index * this.experts);
    });
    return { state, uses };
  }

  #pool(index: number): Pool {
    const pool = this.#pools[index];
    if (!pool) throw new Error(`unreachable: pool ${index} of ${this.pools}`);
    return pool;
  }
}
