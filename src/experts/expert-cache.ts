import { ABSENT, PageTable } from "./page-table.ts";
import type { EvictionPolicy } from "./policies/policy.ts";

/** Where an expert is: not on the GPU, on its way into a slot, or in one. */
export type ExpertState = "absent" | "loading" | "ready";

/** The states as `ExpertMap` numbers them. */
const STATES: readonly ExpertState[] = ["absent", "loading", "ready"];
const STATE_ABSENT = 0;
const STATE_LOADING = 1;
const STATE_READY = 2;

const MAX_USES = 0xffff;

/** A load to do: write the record of `expert` into `slot`, over the one of `evicts` if there is one. */
export interface Load {
  readonly expert: number;
  readonly slot: number;
  readonly evicts?: number;
}

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

/** What a change of the slot counts does. Moves never overwrite one another: each goes from a slot that ends. */
export interface ResizePlan {
  readonly moves: readonly { pool: number; expert: number; fromSlot: number; toSlot: number }[];
  readonly dropped: readonly { pool: number; expert: number; slot: number }[];
  /** Ready experts after the change. */
  readonly kept: number;
}

/** How an {@link ExpertCache} is made. */
export interface ExpertCacheOptions {
  /** Experts of a pool. */
  readonly experts: number;
  /** Slots of each pool, at most `experts`. */
  readonly slotCounts: readonly number[];
  /** Makes the policy of a pool. */
  readonly createPolicy: (pool: number) => EvictionPolicy;
}

/**
 * Which expert is in which GPU slot, for pools that each have their own slots.
 *
 * Only bookkeeping: it returns the loads to do as data and is told of their end. An expert is absent, loading or ready;
 * a pinned or loading one is never evicted. The page table holds exactly the ready ones. A call with a pool or expert
 * that does not exist, or in a state that its docstring rules out, is a bug of the caller and throws a plain `Error`.
 */
export class ExpertCache {
  readonly pools: number;
  readonly experts: number;
  /** The GPU's view: upload `takeDirty()` before a pass is submitted. */
  readonly pageTable: PageTable;
  readonly #states: Uint8Array; // [pools, experts]
  readonly #uses: Uint16Array; // [pools, experts]
  readonly #pins: Uint32Array; // [pools, experts]
  readonly #policies: readonly EvictionPolicy[];
  /** The expert that is loading or ready in each slot, or ABSENT: `[slots]` of each pool. */
  readonly #occupants: Uint32Array[];
  #hits = 0;
  #misses = 0;
  #loads = 0;
  #evictions = 0;

  constructor({ experts, slotCounts, createPolicy }: ExpertCacheOptions) {
    this.pools = slotCounts.length;
    this.experts = experts;
    this.#checkSlotCounts(slotCounts);
    this.pageTable = new PageTable(this.pools, experts);
    this.#states = new Uint8Array(this.pools * experts);
    this.#uses = new Uint16Array(this.pools * experts);
    this.#pins = new Uint32Array(this.pools * experts);
    this.#policies = slotCounts.map((_, pool) => createPolicy(pool));
    this.#occupants = slotCounts.map((slots) => new Uint32Array(slots).fill(ABSENT));
  }

  /** Where an expert is. */
  state(pool: number, expert: number): ExpertState {
    return STATES[this.#states[this.#index(pool, expert)]!]!;
  }

  /** The slot of a ready expert; undefined for any other. */
  slotOf(pool: number, expert: number): number | undefined {
    this.#index(pool, expert);
    const slot = this.pageTable.slot(pool, expert);
    return slot === ABSENT ? undefined : slot;
  }

  /** Passes that used an expert, saturating at 65535. */
  uses(pool: number, expert: number): number {
    return this.#uses[this.#index(pool, expert)]!;
  }

  /** Slots of a pool. */
  slotCount(pool: number): number {
    return this.#occupantsOf(pool).length;
  }

  /** How many slots of a pool hold nothing and wait for nothing. */
  emptySlots(pool: number): number {
    return this.#occupantsOf(pool).filter((expert) => expert === ABSENT).length;
  }

  /** The experts of a pool that are being loaded, in slot order. */
  loading(pool: number): number[] {
    return this.#inState(pool, STATE_LOADING);
  }

  /** The experts of a pool that are ready, in slot order. */
  ready(pool: number): number[] {
    return this.#inState(pool, STATE_READY);
  }

  get counters(): CacheCounters {
    return {
      hits: this.#hits,
      misses: this.#misses,
      loads: this.#loads,
      evictions: this.#evictions,
    };
  }

  /**
   * Records what one pass chose in a pool, in the order of its tokens; each distinct expert counts once. To be called
   * once a pass and layer, before the loads that it leads to.
   */
  use(pool: number, experts: Iterable<number>): void {
    const distinct = new Set<number>();
    for (const expert of experts) {
      this.#index(pool, expert);
      distinct.delete(expert); // the last use is the one that counts for recency
      distinct.add(expert);
    }
    for (const expert of distinct) {
      const index = this.#index(pool, expert);
      if (this.#states[index] === STATE_READY) this.#hits++;
      else this.#misses++;
      this.#uses[index] = Math.min(this.#uses[index]! + 1, MAX_USES);
    }
    this.#policies[pool]!.onUse([...distinct]);
  }

  /**
   * Gives an absent expert a slot: the lowest empty one, else that of the policy's victim, which is absent from now on.
   * Atomic: undefined, and no change, when every slot is pinned or loading. Ends with `commit` or `abort`.
   */
  beginLoad(pool: number, expert: number): Load | undefined {
    const index = this.#expect(pool, expert, STATE_ABSENT);
    const occupants = this.#occupantsOf(pool);
    const empty = occupants.indexOf(ABSENT);
    const evicts = empty === -1 ? this.#victim(pool) : undefined;
    if (empty === -1 && evicts === undefined) return undefined;

    const slot = evicts === undefined ? empty : this.pageTable.slot(pool, evicts);
    if (evicts !== undefined) {
      this.#drop(pool, evicts);
      this.#evictions++;
    }
    occupants[slot] = expert;
    this.#states[index] = STATE_LOADING;
    return evicts === undefined ? { expert, slot } : { expert, slot, evicts };
  }

  /** The record of a loading expert is in its slot (its upload is in the queue): the expert is ready. */
  commit(pool: number, expert: number): void {
    const index = this.#expect(pool, expert, STATE_LOADING);
    this.#states[index] = STATE_READY;
    this.pageTable.set(pool, expert, this.#occupantsOf(pool).indexOf(expert));
    this.#loads++;
  }

  /** The load of a loading expert failed: the expert is absent and its slot empty. What it evicted stays absent. */
  abort(pool: number, expert: number): void {
    const index = this.#expect(pool, expert, STATE_LOADING);
    const occupants = this.#occupantsOf(pool);
    occupants[occupants.indexOf(expert)] = ABSENT;
    this.#states[index] = STATE_ABSENT;
  }

  /**
   * Keeps an expert from being evicted until `release`, as often as it was pinned. An expert can be pinned in any
   * state: pins outlive loads that fail.
   */
  pin(pool: number, expert: number): void {
    const index = this.#index(pool, expert);
    this.#pins[index] = this.#pins[index]! + 1;
  }

  /** Takes back one `pin`. */
  release(pool: number, expert: number): void {
    const index = this.#index(pool, expert);
    const pins = this.#pins[index]!;
    if (pins === 0) throw new Error(`unreachable: ${nameOf(pool, expert)} is not pinned`);
    this.#pins[index] = pins - 1;
  }

  /** How often an expert is pinned. */
  pins(pool: number, expert: number): number {
    return this.#pins[this.#index(pool, expert)]!;
  }

  /**
   * Changes the number of slots of every pool. The policy chooses what leaves a pool that shrinks; experts in slots
   * that end move to slots that stay. Atomic: undefined, and no change, while a slot that ends is pinned or loading;
   * try again when it is not.
   */
  resize(slotCounts: readonly number[]): ResizePlan | undefined {
    if (slotCounts.length !== this.pools) {
      throw new Error(`unreachable: ${slotCounts.length} slot counts for ${this.pools} pools`);
    }
    this.#checkSlotCounts(slotCounts);
    if (slotCounts.some((slots, pool) => !this.#canShrink(pool, slots))) return undefined;

    const moves: ResizePlan["moves"][number][] = [];
    const dropped: ResizePlan["dropped"][number][] = [];
    slotCounts.forEach((slots, pool) => {
      dropped.push(...this.#dropDownTo(pool, slots));
      moves.push(...this.#moveBelow(pool, slots));
    });
    const kept = this.#states.reduce((sum, state) => sum + (state === STATE_READY ? 1 : 0), 0);
    return { moves, dropped, kept };
  }

  /** Copies of the states (0 absent, 1 loading, 2 ready) and of the use counts, both `[pools, experts]`. */
  snapshot(): { state: Uint8Array; uses: Uint16Array } {
    return { state: this.#states.slice(), uses: this.#uses.slice() };
  }

  /** The policy's choice among the ready experts that nobody pins; undefined when there is none. */
  #victim(pool: number): number | undefined {
    const candidates = this.ready(pool)
      .filter((expert) => !this.#isPinned(pool, expert))
      .sort((a, b) => a - b);
    if (candidates.length === 0) return undefined;
    const victim = this.#policies[pool]!.victim(candidates);
    if (!candidates.includes(victim)) {
      throw new Error(`unreachable: the policy chose ${nameOf(pool, victim)}, not a candidate`);
    }
    return victim;
  }

  /** Makes a ready expert absent and its slot empty. */
  #drop(pool: number, expert: number): void {
    this.#occupantsOf(pool)[this.pageTable.slot(pool, expert)] = ABSENT;
    this.#states[this.#index(pool, expert)] = STATE_ABSENT;
    this.pageTable.set(pool, expert, ABSENT);
  }

  /** Whether the slots from `slots` on hold only what may leave or move. */
  #canShrink(pool: number, slots: number): boolean {
    return this.#occupantsOf(pool)
      .subarray(slots)
      .every(
        (expert) =>
          expert === ABSENT ||
          (this.state(pool, expert) === "ready" && !this.#isPinned(pool, expert)),
      );
  }

  /** Drops victims until what is left fits in `slots`. */
  #dropDownTo(pool: number, slots: number): ResizePlan["dropped"] {
    const dropped: ResizePlan["dropped"][number][] = [];
    while (this.slotCount(pool) - this.emptySlots(pool) > slots) {
      const expert = this.#victim(pool);
      if (expert === undefined) throw new Error("unreachable: what may not leave is below `slots`");
      dropped.push({ pool, expert, slot: this.pageTable.slot(pool, expert) });
      this.#drop(pool, expert);
    }
    return dropped;
  }

  /** Gives the pool `slots` slots and moves what lay beyond them to the lowest empty ones. */
  #moveBelow(pool: number, slots: number): ResizePlan["moves"] {
    const before = this.#occupantsOf(pool);
    const after = new Uint32Array(slots).fill(ABSENT);
    after.set(before.subarray(0, slots));
    this.#occupants[pool] = after;

    const moves: ResizePlan["moves"][number][] = [];
    for (let fromSlot = slots; fromSlot < before.length; fromSlot++) {
      const expert = before[fromSlot]!;
      if (expert === ABSENT) continue;
      const toSlot = after.indexOf(ABSENT);
      after[toSlot] = expert;
      this.pageTable.set(pool, expert, toSlot);
      moves.push({ pool, expert, fromSlot, toSlot });
    }
    return moves;
  }

  #inState(pool: number, state: number): number[] {
    return [...this.#occupantsOf(pool)].filter(
      (expert) => expert !== ABSENT && this.#states[this.#index(pool, expert)] === state,
    );
  }

  #isPinned(pool: number, expert: number): boolean {
    return this.#pins[this.#index(pool, expert)]! > 0;
  }

  #occupantsOf(pool: number): Uint32Array {
    const occupants = this.#occupants[pool];
    if (!occupants) throw new Error(`unreachable: pool ${pool} of ${this.pools}`);
    return occupants;
  }

  /** The index of an expert that is in `state`. */
  #expect(pool: number, expert: number, state: number): number {
    const index = this.#index(pool, expert);
    if (this.#states[index] !== state) {
      throw new Error(
        `unreachable: ${nameOf(pool, expert)} is ${this.state(pool, expert)}, not ${STATES[state]}`,
      );
    }
    return index;
  }

  #index(pool: number, expert: number): number {
    const inRange = pool >= 0 && pool < this.pools && expert >= 0 && expert < this.experts;
    if (!inRange || !Number.isInteger(pool) || !Number.isInteger(expert)) {
      throw new Error(
        `unreachable: ${nameOf(pool, expert)}, of ${this.pools} pools of ${this.experts} experts`,
      );
    }
    return pool * this.experts + expert;
  }

  #checkSlotCounts(slotCounts: readonly number[]): void {
    for (const slots of slotCounts) {
      if (!Number.isInteger(slots) || slots < 0 || slots > this.experts) {
        throw new Error(`unreachable: ${slots} slots for ${this.experts} experts`);
      }
    }
  }
}

function nameOf(pool: number, expert: number): string {
  return `expert ${expert} of pool ${pool}`;
}
