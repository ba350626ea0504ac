import type { EvictionPolicy } from "./policies/policy.ts";

/** Where an expert is: not on the GPU, on its way into a slot, or in one. */
export type ExpertState = "absent" | "loading" | "ready";

/** The states as `ExpertMap` numbers them. */
const STATES: readonly ExpertState[] = ["absent", "loading", "ready"];
const STATE_ABSENT = 0;
const STATE_LOADING = 1;
const STATE_READY = 2;

const NOBODY = 0xffffffff;
const MAX_USES = 0xffff;

/** A load to do: write the record of `expert` into `slot`, over the one of `evicts` if there is one. */
export interface Load {
  readonly expert: number;
  readonly slot: number;
  readonly evicts?: number;
}

/** What a change of a pool's slots does. Each move goes from a slot that ends to one that stays. */
export interface PoolResize {
  readonly moves: readonly {
    readonly expert: number;
    readonly fromSlot: number;
    readonly toSlot: number;
  }[];
  readonly dropped: readonly { readonly expert: number; readonly slot: number }[];
}

/** The slots of one pool; `ExpertCache` says what each method promises. */
export class Pool {
  readonly #pool: number;
  readonly #policy: EvictionPolicy;
  readonly #states: Uint8Array; // [experts]
  readonly #uses: Uint16Array; // [experts]
  readonly #pins: Uint32Array; // [experts]
  /** The expert that is loading or ready in each slot, or NOBODY. */
  #occupants: Uint32Array; // [slots]

  constructor(pool: number, experts: number, slots: number, policy: EvictionPolicy) {
    this.#pool = pool;
    this.#policy = policy;
    this.#states = new Uint8Array(experts);
    this.#uses = new Uint16Array(experts);
    this.#pins = new Uint32Array(experts);
    this.#checkSlots(slots);
    this.#occupants = new Uint32Array(slots).fill(NOBODY);
  }

  get slotCount(): number {
    return this.#occupants.length;
  }

  get emptySlots(): number {
    return this.#occupants.filter((expert) => expert === NOBODY).length;
  }

  /** Views of the states and use counts `[experts]`, to be copied. */
  get states(): Uint8Array {
    return this.#states;
  }

  get useCounts(): Uint16Array {
    return this.#uses;
  }

  state(expert: number): ExpertState {
    return STATES[this.#states[this.#checked(expert)]!]!;
  }

  uses(expert: number): number {
    return this.#uses[this.#checked(expert)]!;
  }

  pins(expert: number): number {
    return this.#pins[this.#checked(expert)]!;
  }

  /** The experts in a state, in slot order. */
  inState(state: "loading" | "ready"): number[] {
    const experts = [...this.#occupants].filter((expert) => expert !== NOBODY);
    return experts.filter((expert) => this.state(expert) === state);
  }

  use(experts: Iterable<number>): { hits: number; misses: number } {
    const distinct = new Set<number>();
    for (const expert of experts) {
      this.#checked(expert);
      distinct.delete(expert); // the last use is the one that counts for recency
      distinct.add(expert);
    }
    let hits = 0;
    for (const expert of distinct) {
      if (this.#states[expert] === STATE_READY) hits++;
      this.#uses[expert] = Math.min(this.#uses[expert]! + 1, MAX_USES);
    }
    this.#policy.onUse([...distinct]);
    return { hits, misses: distinct.size - hits };
  }

  beginLoad(expert: number): Load | undefined {
    this.#expect(expert, STATE_ABSENT);
    const empty = this.#occupants.indexOf(NOBODY);
    if (empty !== -1) {
      this.#occupy(empty, expert);
      return { expert, slot: empty };
    }

    const evicts = this.#victim();
    if (evicts === undefined) return undefined;
    const slot = this.#vacate(evicts);
    this.#occupy(slot, expert);
    return { expert, slot, evicts };
  }

  /** Makes a loading expert ready and returns its slot. */
  commit(expert: number): number {
    this.#expect(expert, STATE_LOADING);
    this.#states[expert] = STATE_READY;
    return this.#occupants.indexOf(expert);
  }

  abort(expert: number): void {
    this.#expect(expert, STATE_LOADING);
    this.#vacate(expert);
  }

  pin(expert: number): void {
    this.#pins[this.#checked(expert)]!++;
  }

  release(expert: number): void {
    if (this.pins(expert) === 0)
      throw new Error(`unreachable: ${this.#name(expert)} is not pinned`);
    this.#pins[expert]!--;
  }

  /** Whether the slots from `slots` on hold only what may leave or move. */
  canResize(slots: number): boolean {
    this.#checkSlots(slots);
    return this.#occupants
      .subarray(slots)
      .every((expert) => expert === NOBODY || this.#isEvictable(expert));
  }

  /** To be called only when `canResize`. */
  resize(slots: number): PoolResize {
    const dropped: PoolResize["dropped"][number][] = [];
    while (this.slotCount - this.emptySlots > slots) {
      const expert = this.#victim();
      if (expert === undefined) throw new Error("unreachable: resize() without canResize()");
      dropped.push({ expert, slot: this.#vacate(expert) });
    }

    const ending = this.#occupants.subarray(slots);
    const staying = new Uint32Array(slots).fill(NOBODY);
    staying.set(this.#occupants.subarray(0, slots));
    this.#occupants = staying;
    const moves: PoolResize["moves"][number][] = [];
    ending.forEach((expert, offset) => {
      if (expert === NOBODY) return;
      const toSlot = staying.indexOf(NOBODY);
      staying[toSlot] = expert;
      moves.push({ expert, fromSlot: slots + offset, toSlot });
    });
    return { moves, dropped };
  }

  /** The policy's choice among the experts that may leave; undefined when there is none. */
  #victim(): number | undefined {
    const candidates = [...this.#occupants].filter((expert) => this.#isEvictable(expert));
    if (candidates.length === 0) return undefined;
    const victim = this.#policy.victim(candidates.sort((a, b) => a - b));
    if (!candidates.includes(victim)) {
      throw new Error(`unreachable: the policy chose ${this.#name(victim)}, not a candidate`);
    }
    return victim;
  }

  #isEvictable(expert: number): boolean {
    return this.#states[expert] === STATE_READY && this.#pins[expert] === 0;
  }

  #occupy(slot: number, expert: number): void {
    this.#occupants[slot] = expert;
    this.#states[expert] = STATE_LOADING;
  }

  /** Makes an expert absent and returns the slot that it leaves. */
  #vacate(expert: number): number {
    const slot = this.#occupants.indexOf(expert);
    this.#occupants[slot] = NOBODY;
    this.#states[expert] = STATE_ABSENT;
    return slot;
  }

  #expect(expert: number, state: number): void {
    const actual = this.state(expert);
    if (actual !== STATES[state]) {
      throw new Error(`unreachable: ${this.#name(expert)} is ${actual}, not ${STATES[state]}`);
    }
  }

  #checked(expert: number): number {
    if (!Number.isInteger(expert) || expert < 0 || expert >= this.#states.length) {
      throw new Error(`unreachable: ${this.#name(expert)} of ${this.#states.length} experts`);
    }
    return expert;
  }

  #checkSlots(slots: number): void {
    if (!Number.isInteger(slots) || slots < 0 || slots > this.#states.length) {
      throw new Error(`unreachable: ${slots} slots for ${this.#states.length} experts`);
    }
  }

  #name(expert: number): string {
    return `expert ${expert} of pool ${this.#pool}`;
  }
}
