import { SluiceError } from "../../errors.ts";
import { type FamilyName, familyNames } from "../../kernels/parts.ts";
import type { LoadOptions } from "../../rpc/api.ts";
import { candidate, choiceOfKind, type VariantChoice, variantKinds } from "./choices.ts";

/** What the options of `load` say about variants. */
export interface WantedVariants {
  /** A kind for all families, if one was named. */
  readonly kind: (typeof variantKinds)[number] | undefined;
  /** Families pinned by themselves. */
  readonly pinned: Readonly<Partial<VariantChoice>>;
  /** Whether families that are not pinned may be timed. */
  readonly autotune: boolean;
}

/** Reads `variants` and `autotune`. Throws "bad-input", naming what is not there and what is. */
export function readWantedVariants(options: LoadOptions): WantedVariants {
  const { variants = "auto", autotune = true } = options;
  if (typeof variants === "string") {
    if (variants === "auto") return { kind: undefined, pinned: {}, autotune };
    const kind = variantKinds.find((known) => known === variants);
    if (kind) return { kind, pinned: {}, autotune: false };
    throw new SluiceError(
      "bad-input",
      `variants is "${variants}"; it must be one of auto, ${variantKinds.join(", ")}, or name a candidate for each family to pin.`,
    );
  }
  for (const [family, name] of Object.entries(variants)) {
    if (!familyNames.includes(family as FamilyName)) {
      throw new SluiceError(
        "bad-input",
        `variants names "${family}"; the families of kernels are ${familyNames.join(", ")}.`,
      );
    }
    candidate(family as FamilyName, name);
  }
  return { kind: undefined, pinned: variants, autotune };
}

/** Families that the options leave open. */
export function openFamilies({ kind, pinned }: WantedVariants): FamilyName[] {
  return kind ? [] : familyNames.filter((family) => pinned[family] === undefined);
}

/** `base` with what was pinned. */
export function pinnedChoice({ kind, pinned }: WantedVariants, base: VariantChoice): VariantChoice {
  return { ...(kind ? choiceOfKind(kind) : base), ...pinned };
}
