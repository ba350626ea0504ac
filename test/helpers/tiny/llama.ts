import { normalArray } from "../../../src/numeric/random.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Dense, unless experts are asked for. */
export const llama: TinyArchitecture = {
  defaults: () => ({ experts: 0 }),
  optional: ({ ropeFactors, headDim }): Record<string, readonly number[]> =>
    ropeFactors ? { "rope_freqs.weight": [headDim / 2] } : {},
  values: (part, [pairs], random) =>
    part === "rope_freqs"
      ? normalArray(random, pairs!).map((value) => 1 + 7 * value * value)
      : undefined,
};
