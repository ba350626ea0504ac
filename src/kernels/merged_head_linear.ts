import merge from "../../shaders/attention/merge.wgsl?raw";
import source from "../../shaders/linear/merged_head_linear.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";
import { mergeParams, mergeWork } from "./attention_merge.ts";
import { headParams, headWork } from "./head_linear.ts";

/**
 * What `attention_merge` and `head_linear`, by rows, do one after the other, at once, for a pass of one token.
 *
 * Linked with `headParts.rows`. parts [heads, splits, 4 * (value_quads + 1)] · sinks [heads] · y [heads, rows], f32 · weight as in `head_linear`.
 * `x_width` is four times `value_quads`, which is at most 128.
 */
export const mergedHeadLinear = defineKernel({
  name: "merged_head_linear",
  source: `${source}\n${merge}`,
  params: { ...headParams, ...mergeParams },
  buffers: { parts: "read", sinks: "read", y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 1, ROWS: 64 },
  grid: ({ rows: count, heads }, { ROWS = 64 }) => [Math.ceil(count / ROWS), heads, 1],
  work: (params, constants, pass) => {
    const merged = mergeWork(params, constants, pass);
    const products = headWork(params, 1);
    return {
      words: merged.words + params.heads * params.rows,
      multiplyAdds: merged.multiplyAdds + products.multiplyAdds,
      weights: products.weights,
    };
  },
});
