import type { EvictionPolicy } from "./policies/policy.ts";
import { type EvictionPolicyName, evictionPolicies } from "./policies/registry.ts";

/** A tier below the GPU that has a budget. */
export type LowerTier = "ram" | "disk";

/** The fastest place below the GPU that has a record. `source`: the file or host that the model comes from. */
export type RecordPlace = LowerTier | "source";

/** One expert's record. */
export interface RecordId {
  readonly pool: number;
  readonly expert: number;
}

/**
 * Milliseconds that a byte takes to the GPU from each place, uploading included, until something better is known: an
 * upload of 0.5 GB/s after OPFS at 0.7 GB/s or a network at 50 MB/s. Only their ratios matter.
 */
export const DEFAULT_RELOAD_MS_PER_BYTE: Readonly<Record<RecordPlace, number>> = {
  ram: 2e-6,
  disk: 3.4e-6,
  source: 2.2e-5,
};

/** How {@link LowerTiers} are made. */
export interface LowerTiersOptions {
  /** Experts of a pool. */
  readonly experts: number;
  /** Bytes of a record, for each pool. */
  readonly recordBytes: readonly number[];
  readonly ramBudgetBytes: number;
  readonly diskBudgetBytes: number;
  /** Which record leaves a full tier. */
  readonly policy: EvictionPolicyName;
  /** Whether an expert is on the GPU or on its way there. */
  readonly onGpu: (pool: number, expert: number) => boolean;
  /** Requests that a pass makes: its MoE layers. Default: one for each pool. */
  readonly requestsPerPass?: number;
  /** For policies that weigh costs. Default: {@link DEFAULT_RELOAD_MS_PER_BYTE}. */
  readonly reloadMsPerByte?: Readonly<Record<RecordPlace, number>>;
}

/**
 * Which records RAM and disk hold, each within a budget in bytes. Only bookkeeping, as with `ExpertCache`: it says what
 * leaves, and the caller lets go of the bytes.
 *
 * Both tiers have one order over all pools. RAM includes what is on the GPU, but that leaves first: it will not be read
 * from RAM soon. Nothing is told to the policies about residence, so the same uses lead to the same order in both.
 * Calls with a pool or expert that does not exist are bugs of the caller and throw a plain `Error`.
 */
export class LowerTiers {
  readonly #experts: number;
  readonly #recordBytes: readonly number[];
  readonly #reloadMsPerByte: Readonly<Record<RecordPlace, number>>;
  readonly #tiers: Readonly<Record<LowerTier, Tier>>;

  constructor(options: LowerTiersOptions) {
    const { experts, recordBytes, policy, onGpu } = options;
    this.#experts = experts;
    this.#recordBytes = recordBytes;
    this.#reloadMsPerByte = options.reloadMsPerByte ?? DEFAULT_RELOAD_MS_PER_BYTE;
    const records = experts * recordBytes.length;
    const shared = {
      experts: records,
      requestsPerPass: options.requestsPerPass ?? recordBytes.length,
    };
    const bytesOf = (record: number) => recordBytes[Math.floor(record / experts)]!;
    const create = (reloadCost: (record: number) => number) =>
      evictionPolicies[policy]({ ...shared, reloadCost });

    const disk = new Tier({
      records,
      bytesOf,
      budgetBytes: options.diskBudgetBytes,
      policy: create((record) => this.#reloadMsPerByte.source * bytesOf(record)),
      leavesFirst: () => false,
    });
    const ram = new Tier({
      records,
      bytesOf,
      budgetBytes: options.ramBudgetBytes,
      policy: create((record) => {
        return this.#reloadMsPerByte[disk.has(record) ? "disk" : "source"] * bytesOf(record);
      }),
      leavesFirst: (record) => onGpu(Math.floor(record / experts), record % experts),
    });
    this.#tiers = { ram, disk };
  }

  /** The fastest place that has a record. */
  locate(pool: number, expert: number): RecordPlace {
    const record = this.#record(pool, expert);
    if (this.#tiers.ram.has(record)) return "ram";
    return this.#tiers.disk.has(record) ? "disk" : "source";
  }

  /** Whether a tier has a record. */
  has(tier: LowerTier, pool: number, expert: number): boolean {
    return this.#tiers[tier].has(this.#record(pool, expert));
  }

  /** What it takes to bring a record to the GPU from where it is, in milliseconds: for the policy of the GPU's cache. */
  reloadCost(pool: number, expert: number): number {
    return this.#reloadMsPerByte[this.locate(pool, expert)] * this.#recordBytes[pool]!;
  }

  /**
   * Records what one pass chose in a pool, in the order of its tokens, wherever it is; each distinct expert counts
   * once. To be called with every `ExpertCache.use`.
   */
  use(pool: number, experts: Iterable<number>): void {
    const distinct = new Set<number>();
    for (const expert of experts) {
      const record = this.#record(pool, expert);
      distinct.delete(record); // the last use is the one that counts for recency
      distinct.add(record);
    }
    const used = [...distinct];
    this.#tiers.ram.policy.onUse(used);
    this.#tiers.disk.policy.onUse(used);
  }

  /**
   * Puts a record into a tier, and says what left it for that; nothing when it was there already. Atomic: undefined,
   * and no change, when the record alone is more than the budget.
   */
  admit(
    tier: LowerTier,
    pool: number,
    expert: number,
  ): { readonly evicted: readonly RecordId[] } | undefined {
    const evicted = this.#tiers[tier].admit(this.#record(pool, expert));
    return evicted && { evicted: evicted.map((record) => this.#id(record)) };
  }

  /** A tier no longer has a record: it was lost or is damaged. Nothing happens when it never had it. */
  drop(tier: LowerTier, pool: number, expert: number): void {
    this.#tiers[tier].drop(this.#record(pool, expert));
  }

  /** Changes a tier's budget and says what left it for that, in the order in which it left. */
  setBudget(tier: LowerTier, bytes: number): readonly RecordId[] {
    return this.#tiers[tier].setBudget(bytes).map((record) => this.#id(record));
  }

  /** Bytes of the records in a tier; never more than its budget. */
  bytes(tier: LowerTier): number {
    return this.#tiers[tier].bytes;
  }

  /** What a tier may hold, in bytes. */
  budgetBytes(tier: LowerTier): number {
    return this.#tiers[tier].budgetBytes;
  }

  /** How many records a tier has. */
  count(tier: LowerTier): number {
    return this.#tiers[tier].count;
  }

  /** The record that would leave a tier next; undefined when it is empty. */
  coldest(tier: LowerTier): RecordId | undefined {
    const record = this.#tiers[tier].coldest();
    return record === undefined ? undefined : this.#id(record);
  }

  #record(pool: number, expert: number): number {
    const pools = this.#recordBytes.length;
    if (!isIndex(pool, pools) || !isIndex(expert, this.#experts)) {
      throw new Error(`unreachable: expert ${expert} of pool ${pool}`);
    }
    return pool * this.#experts + expert;
  }

  #id(record: number): RecordId {
    return { pool: Math.floor(record / this.#experts), expert: record % this.#experts };
  }
}

interface TierOptions {
  readonly records: number;
  readonly bytesOf: (record: number) => number;
  readonly budgetBytes: number;
  readonly policy: EvictionPolicy;
  /** Records that leave before all others. */
  readonly leavesFirst: (record: number) => boolean;
}

/** One tier, with records by number: `pool * experts + expert`. */
class Tier {
  readonly policy: EvictionPolicy;
  readonly #bytesOf: (record: number) => number;
  readonly #leavesFirst: (record: number) => boolean;
  readonly #held: Uint8Array; // [records], 0 or 1
  #budgetBytes: number;
  #bytes = 0;
  #count = 0;

  constructor({ records, bytesOf, budgetBytes, policy, leavesFirst }: TierOptions) {
    this.policy = policy;
    this.#bytesOf = bytesOf;
    this.#leavesFirst = leavesFirst;
    this.#held = new Uint8Array(records);
    this.#budgetBytes = checkedBudget(budgetBytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get budgetBytes(): number {
    return this.#budgetBytes;
  }

  get count(): number {
    return this.#count;
  }

  has(record: number): boolean {
    return this.#held[record] === 1;
  }

  admit(record: number): number[] | undefined {
    if (this.has(record)) return [];
    const bytes = this.#bytesOf(record);
    if (bytes > this.#budgetBytes) return undefined;
    const evicted = this.#shrinkTo(this.#budgetBytes - bytes);
    this.#held[record] = 1;
    this.#bytes += bytes;
    this.#count++;
    return evicted;
  }

  drop(record: number): void {
    if (!this.has(record)) return;
    this.#held[record] = 0;
    this.#bytes -= this.#bytesOf(record);
    this.#count--;
  }

  setBudget(bytes: number): number[] {
    this.#budgetBytes = checkedBudget(bytes);
    return this.#shrinkTo(bytes);
  }

  coldest(): number | undefined {
    const held: number[] = [];
    for (let record = 0; record < this.#held.length; record++) {
      if (this.#held[record] === 1) held.push(record);
    }
    if (held.length === 0) return undefined;
    const first = held.filter(this.#leavesFirst);
    return this.policy.victim(first.length > 0 ? first : held);
  }

  #shrinkTo(bytes: number): number[] {
    const evicted: number[] = [];
    while (this.#bytes > bytes) {
      const record = this.coldest();
      if (record === undefined) throw new Error("unreachable: an empty tier holds bytes");
      this.drop(record);
      evicted.push(record);
    }
    return evicted;
  }
}

function isIndex(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end;
}

function checkedBudget(bytes: number): number {
  if (!(bytes >= 0)) throw new Error(`unreachable: a budget of ${bytes} bytes`);
  return bytes;
}
