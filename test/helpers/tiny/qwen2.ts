import type { TinyArchitecture } from "./settings.ts";

/** Dense, with biases of queries, keys and values. */
export const qwen2: TinyArchitecture = {
  defaults: () => ({ experts: 0 }),
  optional: ({ layers, heads, kvHeads, headDim }) => {
    const widths = {
      attn_q: heads * headDim,
      attn_k: kvHeads * headDim,
      attn_v: kvHeads * headDim,
    };
    const biases = Array.from({ length: layers }, (_, layer) =>
      Object.entries(widths).map(([part, width]) => [`blk.${layer}.${part}.bias`, [width]]),
    );
    return Object.fromEntries(biases.flat());
  },
};
