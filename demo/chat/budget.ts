import type { ModelInfo } from "../../src/index.ts";

/** The part of a model's figures that says how memory and experts go together. */
export type BudgetInfo = Pick<
  ModelInfo,
  "experts" | "topK" | "minGpuBudgetBytes" | "fullGpuBudgetBytes"
>;

/** The smallest whole percentage of the experts that can work: those that one token uses. 100 for a dense model. */
export function leastPercent({ experts, topK }: BudgetInfo): number {
  return experts === 0 ? 100 : Math.min(100, Math.ceil((100 * topK) / experts));
}

/** Experts of a layer that have room on the GPU at that percentage. */
export function slotsAt({ experts }: BudgetInfo, percent: number): number {
  return Math.floor((experts * percent) / 100 + 1e-9);
}

/** GPU bytes of the engine at that percentage. Each expert more costs the same; weights, KV cache and scratch stay. */
export function bytesAt(info: BudgetInfo, percent: number): number {
  const { minGpuBudgetBytes: least, fullGpuBudgetBytes: full, experts, topK } = info;
  if (experts <= topK) return full;
  return least + ((full - least) * Math.max(0, slotsAt(info, percent) - topK)) / (experts - topK);
}

/** How far the filling of the GPU with experts is, in experts and in bytes. */
export interface FillReport {
  readonly loaded: number;
  readonly total: number;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** The {@link FillReport} of a model whose experts are `totalExperts` in all, `resident` of them on the GPU. */
export function reportFill(
  info: BudgetInfo,
  percent: number,
  { resident, totalExperts }: { readonly resident: number; readonly totalExperts: number },
): FillReport {
  const layers = info.experts === 0 ? 0 : totalExperts / info.experts;
  const total = Math.round(slotsAt(info, percent) * layers);
  const spread = (info.experts - info.topK) * layers;
  const expertBytes = spread > 0 ? (info.fullGpuBudgetBytes - info.minGpuBudgetBytes) / spread : 0;
  const loaded = Math.min(resident, total);
  return { loaded, total, loadedBytes: loaded * expertBytes, totalBytes: total * expertBytes };
}
