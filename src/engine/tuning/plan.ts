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
import type { KeptTunings, Medians } from "./kept.ts";
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
  /** Keeps what timing found; the plan that results. */
  settle(found: {
    readonly choice: VariantChoice;
    readonly medians: Medians;
  }): Promise<VariantPlan>;
}

/**
 * Plans the variants of a model: what is pinned, then what is kept, then the default of the adapter's class, to be timed.
 * Without a place to keep it nothing is timed: two loads might compute with other variants.
 * Throws "missing-feature" for a pinned variant that the device cannot run.
 */
export async function planVariants(
  wanted: WantedVariants,
  device: TunedDevice,
  tunings: KeptTunings,
  key: string,
): Promise<VariantPlan> {
  const unpinned = openFamilies(wanted);
  const tunes = wanted.autotune && tunings.keeps;
  const open = tunes ? unpinned : [];
  const kept = open.length > 0 ? await tunings.find(key) : undefined;
  const plan = (
    base: VariantChoice,
    medians: Medians,
    source: FamilyReport["source"],
    left: readonly FamilyName[],
  ): VariantPlan => {
    const choice = withOneOrder(pinnedChoice(wanted, base), wanted.pinned, device);
    const sourceOf = (family: FamilyName): FamilyReport["source"] => {
      if (!unpinned.includes(family)) return "pinned";
      return medians[family] ? source : "default";
    };
    return {
      device,
      choice,
      variant: variantOf(choice, device.leastSubgroup),
      report: byFamily((family) => ({
        chosen: choice[family],
        source: sourceOf(family, medians),
        candidates: Object.keys(candidates[family]),
        medianMs: medians[family] ?? {},
      })),
      open: left,
      pinned: wanted.pinned,
      async settle(found) {
        const tuning = await tunings.keep(key, { ...found, atMs: Date.now() });
        return plan(tuning.choice, tuning.medians, "tuned", []);
      },
    };
  };
  if (kept) return plan(kept.choice, kept.medians, "kept", []);
  return plan(defaultChoice(device), {}, "default", open);
}
