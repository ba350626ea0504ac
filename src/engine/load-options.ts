import { SluiceError } from "../errors.ts";
import {
  DEFAULT_EVICTION_POLICY,
  type EvictionPolicyName,
  evictionPolicies,
} from "../experts/policies/registry.ts";
import { predictors } from "../experts/predictors/registry.ts";
import {
  type CacheFormatName,
  cacheFormats,
  DEFAULT_CACHE_FORMAT,
} from "../formats/cache/registry.ts";
import { type Accuracy, accuracies, DEFAULT_ACCURACY } from "../formats/input/registry.ts";
import { type ModelRules, type ModelSpec, modelRules } from "../models/model.ts";
import type { Budget, LoadOptions } from "../rpc/api.ts";
import { type ParsedBudget, parseBudget } from "../scheduler/budget.ts";
import { DEFAULT_PACING, type PacingName, pacingRules } from "../scheduler/pacing/registry.ts";
import { choosePredictor, type PredictorChoice } from "./prefetch.ts";

/** Longest context that is made unless asked for: a KV cache for more is seldom used and always paid. */
const DEFAULT_CONTEXT_TOKENS = 4096;

/** Options that say how the experts' memory is run, read and found possible. */
export interface WantedMemory {
  /** Undefined: as much as there is room for. */
  readonly gpu: ParsedBudget | undefined;
  readonly ram: ParsedBudget | undefined;
  readonly disk: ParsedBudget | undefined;
  readonly policy: EvictionPolicyName;
  readonly predictor: PredictorChoice;
  readonly pacing: PacingName;
}

/** Budgets as they are given, each undefined where there is none. Throws "bad-input". */
export function readBudgets<Tier extends string>(
  budgets: Readonly<Record<Tier, Budget | undefined>>,
): Record<Tier, ParsedBudget | undefined> {
  const entries = Object.entries<Budget | undefined>(budgets);
  const parsed = entries.map(([tier, budget]) => [
    tier,
    budget === undefined ? undefined : parseBudget(budget),
  ]);
  return Object.fromEntries(parsed) as Record<Tier, ParsedBudget | undefined>;
}

/** A choice from each registry. Throws "bad-input" for what is in none, or does not fit the model. */
export function readPolicies(
  { policy = DEFAULT_EVICTION_POLICY, pacing = DEFAULT_PACING, predictor = "auto" }: LoadOptions,
  spec: ModelSpec,
): Pick<WantedMemory, "policy" | "predictor" | "pacing"> {
  expectOneOf("policy", policy, Object.keys(evictionPolicies));
  expectOneOf("pacing", pacing, Object.keys(pacingRules));
  expectOneOf("predictor", predictor, ["auto", "none", ...Object.keys(predictors)]);
  const routerInput = spec.moe[0]?.routerInput ?? "post-attention";
  return { policy, pacing, predictor: choosePredictor(predictor, routerInput) };
}

function expectOneOf(option: string, got: string, known: readonly string[]): void {
  if (known.includes(got)) return;
  throw new SluiceError(
    "bad-input",
    `${option} is "${got}"; it must be one of ${known.join(", ")}.`,
  );
}

/** Throws "bad-input" for rules that nobody has. */
export function readRules(wanted: ModelRules = "published"): ModelRules {
  if (modelRules.includes(wanted)) return wanted;
  throw new SluiceError(
    "bad-input",
    `rules is ${JSON.stringify(wanted)}; it must be one of ${modelRules.join(", ")}.`,
  );
}

/** Throws "bad-input" for more than the model takes. */
export function readContext(wanted: number | undefined, spec: ModelSpec): number {
  if (wanted === undefined) return Math.min(spec.contextTokens, DEFAULT_CONTEXT_TOKENS);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > spec.contextTokens) {
    throw new SluiceError(
      "bad-input",
      `contextTokens is ${wanted}; this model takes a whole number from 1 to ${spec.contextTokens}.`,
    );
  }
  return wanted;
}

/** Throws "bad-input" for what is in no registry. */
export function readKvCache(wanted: CacheFormatName = DEFAULT_CACHE_FORMAT): CacheFormatName {
  expectOneOf("kvCache", wanted, Object.keys(cacheFormats));
  return wanted;
}

/** Throws "bad-input" for an accuracy that does not exist. */
export function readAccuracy(wanted: Accuracy = DEFAULT_ACCURACY): Accuracy {
  expectOneOf("accuracy", wanted, Object.keys(accuracies));
  return wanted;
}
