import { normalArray } from "../../../src/numeric/random.ts";
import { g } from "../gguf-writer.ts";
import { kvHeads } from "./granite.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Dense; convolutions in all layers but every third. Attention is as wide as the residual stream in all files. */
export const lfm2: TinyArchitecture = {
  defaults: () => ({ layers: 3, experts: 0 }),
  keys: (model) => ({
    "shortconv.l_cache": g.u32(3),
    "attention.head_count_kv": kvHeads(model, (layer) => layer % 3 === 1),
  }),
  values: (part, shape, random) =>
    part === "shortconv.conv"
      ? normalArray(
          random,
          shape.reduce((a, b) => a * b),
          1,
        )
      : undefined,
};
