import type { Budgets, EngineStats, LoadCallOptions, ModelInfo } from "../../src/index.ts";
import { formatBytes, formatPercent } from "./format.ts";

/** A tier that has a budget. */
export type Tier = keyof Budgets;

/** A tier below the GPU. */
export type LowerTier = Exclude<Tier, "gpu">;

/**
 * What each tier may take, as a share of all experts in percent; undefined where the engine decides. The GPU also has
 * what every token needs, which does not count here.
 */
export interface Shares {
  readonly gpu: number;
  readonly ram: number | undefined;
  readonly disk: number | undefined;
}

/** All experts on the GPU, if there is room; the engine decides about the rest. */
export const DEFAULT_SHARES: Shares = { gpu: 100, ram: undefined, disk: undefined };

/** The options of `load` that these shares stand for. A full GPU is none: the engine then takes what there is. */
export function toLoadOptions({ gpu, ram, disk }: Shares): LoadCallOptions {
  return {
    ...(gpu < 100 && { gpuBudget: `${gpu}%` }),
    ...(ram !== undefined && { ramBudget: `${ram}%` }),
    ...(disk !== undefined && { diskBudget: `${disk}%` }),
  };
}

/** The budgets of the tiers whose share is known. */
export function toBudgets(shares: Partial<Shares>): Budgets {
  const known = Object.entries(shares).filter(([, share]) => share !== undefined);
  return Object.fromEntries(known.map(([tier, share]) => [tier, `${share}%`]));
}

/** The part of a model's figures that says how memory and experts go together. */
export type BudgetInfo = Pick<
  ModelInfo,
  "experts" | "topK" | "minGpuBudgetBytes" | "fullGpuBudgetBytes"
>;

/** What a tier holds of what it may. */
export function describeUse(bytes: number, budgetBytes: number): string {
  return bytes === 0 && budgetBytes === 0
    ? "nothing"
    : `${formatBytes(bytes)} of ${formatBytes(budgetBytes)}`;
}

/** How the slider of a tier below the GPU stands. */
export interface LowerBudget {
  readonly percent: number;
  readonly text: string;
  /** Why there is nothing to set; empty when there is. */
  readonly reason: string;
}

/** What is said of `tier`: what was asked for, or what the engine decided. `kind` is where the model came from. */
export function describeLower(
  tier: LowerTier,
  {
    shares,
    model,
    stats,
    kind,
  }: {
    readonly shares: Shares;
    readonly model: Pick<ModelInfo, "allExpertBytes"> | undefined;
    readonly stats: Pick<EngineStats, "ramBudgetBytes" | "diskBudgetBytes"> | undefined;
    readonly kind: "bundled" | "url" | "file" | undefined;
  },
): LowerBudget {
  const asked = shares[tier];
  const budgetBytes = stats?.[`${tier}BudgetBytes`];
  if (!model || budgetBytes === undefined) {
    const text = asked === undefined ? "automatic" : formatPercent(asked);
    return { percent: asked ?? 100, text, reason: "" };
  }
  const all = model.allExpertBytes;
  const reason = reasonAgainst(tier, { all, kind, kept: budgetBytes > 0 || asked === 0 });
  if (reason !== "") return { percent: 0, text: "nothing", reason };
  const percent = asked ?? Math.min(100, Math.round((100 * budgetBytes) / all));
  const how = asked === undefined ? "automatic" : formatPercent(asked);
  return { percent, text: `${how}, ${formatBytes(budgetBytes)}`, reason: "" };
}

function reasonAgainst(
  tier: LowerTier,
  {
    all,
    kind,
    kept,
  }: {
    readonly all: number;
    readonly kind: string | undefined;
    readonly kept: boolean;
  },
): string {
  if (all === 0) return "This model has no experts that could be left out.";
  if (tier === "ram") return "";
  if (kind === "file") return "A file of this device is read where it is: nothing is copied.";
  return kept ? "" : "This browser keeps nothing for this page.";
}

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
