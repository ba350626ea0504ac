import type { Drafter } from "./drafter.ts";
import { ownBlock } from "./own-block.ts";
import { promptLookup } from "./prompt-lookup.ts";

/** Every way to draft, by name. To add one: write its file and name it here. */
export const drafters = {
  "prompt-lookup": promptLookup,
  mtp: ownBlock,
} as const satisfies Record<string, Drafter>;

/** The name of a way to draft. */
export type DrafterName = keyof typeof drafters;

/** What can be asked for: a drafter by name, the one that suits the model as far as it pays, or none. */
export const speculations = [
  "off",
  "auto",
  ...(Object.keys(drafters) as DrafterName[]),
] as const satisfies readonly ("off" | "auto" | DrafterName)[];
export type SpeculationName = "off" | "auto" | DrafterName;
