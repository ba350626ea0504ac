import { bytesOfBudget, type ParsedBudget } from "../scheduler/budget.ts";
import type { RecordStore } from "../storage/store/record-store.ts";
import type { ExpertPlan } from "./expert-memory.ts";
import { expertOf } from "./records.ts";

/**
 * Bytes that records may take of RAM. Unless asked for, nothing when the GPU holds all experts, otherwise all of them as
 * far as the device's memory allows.
 */
export function ramBudgetBytes(budget: ParsedBudget | undefined, plan: ExpertPlan): number {
  if (budget) return bytesOfBudget(budget, plan.expertBytes);
  if (plan.gpuExpertBytes >= plan.expertBytes) return 0;
  return Math.min(plan.expertBytes, deviceMemoryBytes() / 4);
}

/**
 * Bytes that a model may take on disk in all. A share is of its experts; what every token needs, and the header, come
 * on top of that.
 */
export function storeBudgetBytes(budget: ParsedBudget | undefined): number {
  return budget?.kind === "bytes" ? budget.bytes : Number.POSITIVE_INFINITY;
}

/** Bytes that records may take on disk: what is left of a budget in bytes once the other pieces are there. */
export function diskBudgetBytes(
  budget: ParsedBudget | undefined,
  plan: ExpertPlan,
  store: RecordStore | undefined,
): number {
  if (!store) return 0;
  if (budget?.kind !== "bytes") return Math.floor((budget?.share ?? 1) * plan.expertBytes);
  let others = 0;
  for (const key of store.keys()) if (!expertOf(key)) others += store.bytesOf(key) ?? 0;
  return Math.max(0, budget.bytes - others);
}

/**
 * What the browser tells of the device's memory: a hint, capped and rounded; an assumption where it tells nothing, or
 * where there is no `navigator` (Node 20).
 */
export function deviceMemoryBytes(): number {
  const { deviceMemory = 4 } = (globalThis.navigator ?? {}) as { readonly deviceMemory?: number };
  return deviceMemory * 1e9;
}
