import { adaptive } from "./adaptive.ts";
import { layer, pass, segments, tokens } from "./fixed.ts";
import type { PacingRule } from "./pacing.ts";

/** Every pacing rule, by name. To add one: write its file and name it here. */
export const pacingRules = { adaptive, tokens, pass, segments, layer } as const satisfies Record<
  string,
  PacingRule
>;

/** The name of a pacing rule. */
export type PacingName = keyof typeof pacingRules;

/** What the engine goes by unless told otherwise. */
export const DEFAULT_PACING: PacingName = "adaptive";
