import { SluiceError } from "../errors.ts";
import { ExpertCache } from "../experts/expert-cache.ts";
import { LowerTiers } from "../experts/lower-tiers.ts";
import { type EvictionPolicyName, evictionPolicies } from "../experts/policies/registry.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import {
  type GpuNeeds,
  type ParsedBudget,
  planSlots,
  type SlotPlan,
  slotPlansToTry,
} from "../scheduler/budget.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import type { RecordStore } from "../storage/store/record-store.ts";
import { type ExpertSlots, ExpertStore } from "./expert-store.ts";
import type { PoolLayout } from "./pool-layout.ts";
import { Records } from "./records.ts";

/** How the memory of a model's experts is run. */
export interface ExpertMemoryOptions {
  /** Undefined: as much as there is room for. */
  readonly budget: ParsedBudget | undefined;
  /** Of RAM, in bytes, once it is known how many experts have a slot. */
  readonly ramBudgetBytes: (plan: ExpertPlan) => number;
  readonly diskBudgetBytes: (plan: ExpertPlan) => number;
  readonly disk: RecordStore | undefined;
  /** Where experts are read: nothing of it is kept as it is in the file. */
  readonly passing: ByteSource;
  readonly policy: EvictionPolicyName;
}

/** What the records of a model's experts take, and those of them that have a slot. */
export interface ExpertPlan {
  readonly expertBytes: number;
  readonly gpuExpertBytes: number;
}

/** The expert cache with the slots and tiers that it keeps the books of. */
export interface ExpertMemory<Slots extends ExpertSlots> {
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly slots: Slots;
  readonly plan: SlotPlan;
}

/** What {@link allocateExperts} allocates. */
export interface ExpertNeeds<Slots extends ExpertSlots> {
  readonly file: GgufFile;
  readonly pools: readonly PoolLayout[];
  readonly needs: GpuNeeds;
  /** Throws "out-of-memory" where there is no room for them. */
  readonly allocate: (cache: ExpertCache) => Promise<Slots> | Slots;
}

/**
 * Allocates the slots that the budget gives or, without one, as many as there is room for.
 * Throws "budget-too-small" or "out-of-memory".
 */
export async function allocateExperts<Slots extends ExpertSlots>(
  wanted: ExpertNeeds<Slots>,
  options: ExpertMemoryOptions,
): Promise<ExpertMemory<Slots>> {
  const { budget } = options;
  const { needs } = wanted;
  const plans = budget ? [planSlots({ ...needs, budget })] : slotPlansToTry(needs);
  for (const [index, plan] of plans.entries()) {
    try {
      return await allocate(wanted, plan, options);
    } catch (error) {
      const refused = error instanceof SluiceError && error.code === "out-of-memory";
      if (!refused || index === plans.length - 1) throw error;
    }
  }
  throw new Error("unreachable: there is a plan to try");
}

async function allocate<Slots extends ExpertSlots>(
  { file, pools, needs, allocate }: ExpertNeeds<Slots>,
  plan: SlotPlan,
  options: ExpertMemoryOptions,
): Promise<ExpertMemory<Slots>> {
  const { experts } = needs;
  const { policy, disk } = options;
  const cache: ExpertCache = new ExpertCache({
    experts,
    slotCounts: plan.slotCounts,
    createPolicy: evictionPolicies[policy],
    reloadCost: (pool, expert) => tiers.reloadCost(pool, expert),
  });
  const expertPlan = expertPlanOf(pools, experts, (pool) => plan.slotCounts[pool]!);
  const onGpu = (pool: number, expert: number) => cache.state(pool, expert) !== "absent";
  const tiers = new LowerTiers({
    experts,
    recordBytes: pools.map(({ recordBytes }) => recordBytes),
    ramBudgetBytes: options.ramBudgetBytes(expertPlan),
    diskBudgetBytes: options.diskBudgetBytes(expertPlan),
    policy,
    onGpu,
  });
  const slots = await allocate(cache);
  const passing = { ...file, source: options.passing };
  const records = new Records({ file: passing, pools, experts, onGpu, tiers, disk });
  return { cache, store: new ExpertStore(cache, records, slots), slots, plan };
}

/** What the records of `experts` experts of each pool take, of which `slots` have a slot. */
export function expertPlanOf(
  pools: readonly PoolLayout[],
  experts: number,
  slots: (pool: number) => number,
): ExpertPlan {
  return {
    expertBytes: pools.reduce((sum, { recordBytes }) => sum + recordBytes * experts, 0),
    gpuExpertBytes: pools.reduce(
      (sum, { recordBytes }, pool) => sum + recordBytes * slots(pool),
      0,
    ),
  };
}

/** A share is worth what it takes; bytes are a promise that is kept, and shown as given. */
export function budgetBytesOf(budget: ParsedBudget | undefined, gpuBytes: number): number {
  return budget?.kind === "bytes" ? budget.bytes : gpuBytes;
}
