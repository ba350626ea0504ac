import type { EvictionPolicyName } from "../experts/policies/registry.ts";
import { DEFAULT_EVICTION_POLICY, evictionPolicies } from "../experts/policies/registry.ts";
import {
  defaultPredictor,
  type PredictorName,
  predictors,
} from "../experts/predictors/registry.ts";
import type { RoutingTrace } from "../experts/trace.ts";
import { type GpuNeeds, parseBudget } from "../scheduler/budget.ts";
import { DEFAULT_PACING, type PacingName, pacingRules } from "../scheduler/pacing/registry.ts";
import { readChoice } from "./flags.ts";

/** The flags of `simulate` as they stand on the command line. */
export interface SimulateFlags {
  readonly gpuBudget: readonly string[];
  readonly ramBudget?: string;
  readonly diskBudget?: string;
  readonly policy: readonly string[];
  readonly predictor?: string;
  readonly pacing?: string;
  readonly costs?: string;
  readonly model?: string;
  readonly context?: string;
  readonly kvCache?: string;
  readonly cold?: boolean;
  readonly layers?: boolean;
  readonly json?: boolean;
}

/** What is simulated: every budget with every policy. */
export interface SimulateSettings {
  readonly gpuBudgets: readonly string[];
  readonly policies: readonly (EvictionPolicyName | "belady")[];
  readonly ramBudgetBytes: number;
  readonly diskBudgetBytes: number;
  readonly predictor: PredictorName | "none";
  readonly pacing: PacingName;
  /** Nothing is on disk at the start, as on a first visit. */
  readonly cold: boolean;
}

const DEFAULT_GPU_BUDGETS = ["25%", "50%", "75%", "100%"] as const;

const POLICIES = [...(Object.keys(evictionPolicies) as EvictionPolicyName[]), "belady" as const];
const PREDICTORS = [
  "auto" as const,
  "none" as const,
  ...(Object.keys(predictors) as PredictorName[]),
];
const PACINGS = Object.keys(pacingRules) as PacingName[];

/** Reads the flags. Throws "bad-input", naming the one that is wrong. */
export function readSettings(
  flags: SimulateFlags,
  { routerInput }: RoutingTrace,
  needs: GpuNeeds,
): SimulateSettings {
  const gpuBudgets = flags.gpuBudget.length > 0 ? flags.gpuBudget : DEFAULT_GPU_BUDGETS;
  for (const budget of gpuBudgets) parseBudget(budget);
  const policies = flags.policy.map((name) => readChoice("--policy", name, POLICIES)!);
  const predictor = readChoice("--predictor", flags.predictor, PREDICTORS) ?? "auto";
  return {
    gpuBudgets,
    policies: policies.length > 0 ? policies : [DEFAULT_EVICTION_POLICY],
    ramBudgetBytes: budgetBytes(flags.ramBudget ?? "100%", needs),
    diskBudgetBytes: budgetBytes(flags.diskBudget ?? "100%", needs),
    predictor: predictor === "auto" ? defaultPredictor(routerInput ?? "post-attention") : predictor,
    pacing: readChoice("--pacing", flags.pacing, PACINGS) ?? DEFAULT_PACING,
    cold: flags.cold === true,
  };
}

/** A budget of RAM or disk in bytes; a share is that of all experts' bytes. */
function budgetBytes(text: string, { recordBytes, experts }: GpuNeeds): number {
  const budget = parseBudget(text);
  if (budget.kind === "bytes") return budget.bytes;
  return Math.floor(budget.share * experts * recordBytes.reduce((sum, bytes) => sum + bytes, 0));
}
