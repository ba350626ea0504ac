import source from "../../shaders/attention/attention_merge.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { spansSeen } from "./attention.ts";

/**
 * Adds up what `attention` leaves of queries whose keys it splits.
 *
 * parts [tokens, heads, splits, 4 * (value_quads + 1)] · sinks [heads] · out [tokens, heads, 4 * value_quads], f32.
 */
export const attentionMerge = defineKernel({
  name: "attention_merge",
  source,
  params: {
    heads: "u32",
    value_quads: "u32",
    window: "u32",
    span_keys: "u32",
    splits: "u32",
    has_sinks: "u32",
  },
  buffers: { parts: "read", sinks: "read", out: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 32 },
  grid: ({ heads }, _constants, tokens) => [heads, tokens, 1],
  work: (params, _constants, pass) => {
    const { heads, value_quads, has_sinks } = params;
    const spans = spansSeen(params, pass);
    return {
      words: heads * (4 * (spans * (value_quads + 1) + pass.tokens * value_quads) + has_sinks),
      multiplyAdds: 2 * heads * spans * 4 * value_quads,
    };
  },
});
