import { normalArray } from "../../../src/numeric/random.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Biases of attention, and LongRoPE if it is asked for. */
export const phimoe: TinyArchitecture = {
  optional: ({ layers, hidden, heads, kvHeads, headDim, ropeFactors }) => {
    const biases = Array.from({ length: layers }, (_, layer) => [
      [`blk.${layer}.attn_q.bias`, [heads * headDim]],
      [`blk.${layer}.attn_k.bias`, [kvHeads * headDim]],
      [`blk.${layer}.attn_v.bias`, [kvHeads * headDim]],
      [`blk.${layer}.attn_output.bias`, [hidden]],
    ]).flat();
    const factors =
      ropeFactors === "longrope"
        ? ["long", "short"].map((which) => [`rope_factors_${which}.weight`, [headDim / 2]])
        : [];
    return Object.fromEntries([...biases, ...factors]);
  },
  values: (part, [pairs], random) =>
    part.startsWith("rope_factors")
      ? normalArray(random, pairs!).map((value) => 1 + 7 * value * value)
      : undefined,
};
