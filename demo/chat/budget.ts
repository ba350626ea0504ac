import type { ModelInfo } from "../../src/index.ts";

/** The part of a model's figures that says how memory and experts go together. */
export type BudgetInfo = Pick<
  ModelInfo,
  "layers" | "experts" | "expertBytes" | "minGpuBudgetBytes" | "fullGpuBudgetBytes"
>;

/** What the memory slider ranges over. */
export interface ShareScale {
  /** The smallest whole percentage of the experts that can work. */
  readonly minPercent: number;
  /** GPU bytes of the engine when that percentage of the experts is resident. */
  bytesAt(percent: number): number;
}

/**
 * The scale of the slider for a model: 100 % is every expert, and what a smaller share saves is experts' bytes only,
 * since weights, KV cache and scratch stay.
 */
export function planShareScale(info: BudgetInfo): ShareScale {
  const { minGpuBudgetBytes: least, fullGpuBudgetBytes: full } = info;
  const expertBytes = info.expertBytes * info.layers * info.experts;
  if (expertBytes <= 0) return { minPercent: 100, bytesAt: () => full };
  const minShare = 1 - (full - least) / expertBytes;
  const minPercent = Math.min(100, Math.max(1, Math.ceil(minShare * 100 - 1e-9)));
  return {
    minPercent,
    bytesAt: (percent) => Math.max(least, full - expertBytes * (1 - percent / 100)),
  };
}
