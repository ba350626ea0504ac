import { candidates, type FamilyName, type Variant } from "../../kernels/parts.ts";
import type { FamilyReport, VariantReport } from "../../rpc/api.ts";
import {
  byFamily,
  defaultChoice,
  type TunedDevice,
  type VariantChoice,
  variantOf,
  withOneOrder,
} from "./choices.ts";
import { type KeptTunings, type Medians, MOST_LOADS, type Tuning } from "./kept.ts";
import { openFamilies, pinnedChoice, type WantedVariants } from "./wanted.ts";

/** The variants that a model is recorded with first, and what may be found out for it. */
export interface VariantPlan {
  readonly device: TunedDevice;
  readonly choice: VariantChoice;
  readonly variant: Variant;
  readonly report: VariantReport;
  /** Families to be timed; none where all is pinned, kept or not to be tuned. */
  readonly open: readonly FamilyName[];
  readonly pinned: Partial<VariantChoice>;
  /** The most that timing may take. */
  readonly tuningMs: number;
  /** Keeps what timing found; the plan that results. */
  settle(found: Found): Promise<VariantPlan>;
}

/** What timing found, now or earlier. */
type Found = Pick<Tuning, "choice" | "medians">;

/** What a plan is made of. */
interface PlanParts {
  readonly wanted: WantedVariants;
  readonly device: TunedDevice;
  readonly tunings: KeptTunings;
  /** Names what is kept: see `tuningKey`. */
  readonly key: string;
  readonly tuningMs: number;
}

/**
 * Plans the variants of a model: what is pinned, then what is kept, then the default of the adapter's class, to be timed.
 * What there was no time for at earlier loads is timed at this one: compiling takes most of it, and is soon done where the
 * driver remembers. Without a place to keep it nothing is timed: two loads might compute with other variants.
 * Throws "missing-feature" for a pinned variant that the device cannot run.
 */
export async function planVariants(parts: PlanParts): Promise<VariantPlan> {
  const { wanted, device, tunings, key } = parts;
  const open = wanted.autotune && tunings.keeps ? openFamilies(wanted) : [];
  const kept = open.length > 0 ? await tunings.find(key) : undefined;
  if (!kept) {
    const nothing = { choice: defaultChoice(device), medians: {}, loads: 0 };
    return makePlan(parts, nothing, "default", open);
  }
  const untimed = open.filter((family) => kept.medians[family] === undefined);
  return makePlan(parts, kept, "kept", kept.loads < MOST_LOADS ? untimed : []);
}

/** @param source where the variants of timed families come from */
function makePlan(
  parts: PlanParts,
  found: Found & Pick<Tuning, "loads">,
  source: FamilyReport["source"],
  open: readonly FamilyName[],
): VariantPlan {
  const { wanted, device, tunings, key, tuningMs } = parts;
  const choice = withOneOrder(pinnedChoice(wanted, found.choice), wanted.pinned, device);
  return {
    device,
    choice,
    variant: variantOf(choice, device),
    report: reportOf(wanted, { ...found, choice }, source),
    open,
    pinned: wanted.pinned,
    tuningMs,
    async settle(timed) {
      const kept = await tunings.keep(key, {
        choice: timed.choice,
        medians: { ...found.medians, ...timed.medians },
        atMs: Date.now(),
        loads: found.loads + 1,
      });
      return makePlan(parts, kept, "tuned", []);
    },
  };
}

function isTimed(medians: Medians[FamilyName]): boolean {
  return medians !== undefined && Object.keys(medians).length > 0;
}

function reportOf(
  wanted: WantedVariants,
  { choice, medians }: Found,
  source: FamilyReport["source"],
): VariantReport {
  const unpinned = openFamilies(wanted);
  return byFamily((family) => ({
    chosen: choice[family],
    source: !unpinned.includes(family) ? "pinned" : isTimed(medians[family]) ? source : "default",
    candidates: Object.keys(candidates[family]),
    medianMs: medians[family] ?? {},
  }));
}
