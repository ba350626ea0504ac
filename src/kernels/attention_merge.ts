import source from "../../shaders/attention/attention_merge.wgsl?raw";
import merge from "../../shaders/attention/merge.wgsl?raw";
import { type Constants, defineKernel, type ParamValues, type PassShape } from "../gpu/kernel.ts";
import { spansSeen } from "./attention.ts";

/** Spans of keys that are added up: `shaders/attention/merge.wgsl`. */
export const mergeParams = {
  heads: "u32",
  value_quads: "u32",
  window: "u32",
  span_keys: "u32",
  splits: "u32",
  has_sinks: "u32",
} as const;

/**
 * Adds up what `attention` leaves of queries whose keys it splits.
 *
 * parts [tokens, heads, splits, 4 * (value_quads + 1)] · sinks [heads] · out [tokens, heads, 4 * value_quads], f32.
 */
export const attentionMerge = defineKernel({
  name: "attention_merge",
  source: `${source}\n${merge}`,
  params: mergeParams,
  buffers: { parts: "read", sinks: "read", out: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 32 },
  grid: ({ heads }, _constants, tokens) => [heads, tokens, 1],
  work: (params, constants, pass) => {
    const { words, multiplyAdds } = mergeWork(params, constants, pass);
    return { words: words + 4 * params.heads * pass.tokens * params.value_quads, multiplyAdds };
  },
});

/** What it takes to add up the spans of a pass. */
export function mergeWork(
  params: ParamValues<typeof mergeParams>,
  _constants: Constants,
  pass: PassShape,
) {
  const { heads, value_quads, has_sinks } = params;
  const spans = spansSeen(params, pass);
  return {
    words: heads * (4 * spans * (value_quads + 1) + has_sinks),
    multiplyAdds: 2 * heads * spans * 4 * value_quads,
  };
}
