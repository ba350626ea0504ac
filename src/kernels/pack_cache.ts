import source from "../../shaders/cache/pack_cache.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/** Numbers that an invocation packs: `UNIT` of the shader. */
const UNIT_NUMBERS = 64;

/**
 * Packs the keys and values of a pass's tokens into a cache that is not f32.
 *
 * staged [staged_rows, key_stride], then [staged_rows, value_stride], f32 · cache: words of the format whose part is
 * linked. Shapes: `shaders/cache/pack_cache.wgsl`.
 */
export const packCache = defineKernel({
  name: "pack_cache",
  source,
  params: {
    rows: "u32",
    staged_rows: "u32",
    key_width: "u32",
    value_width: "u32",
    key_stride: "u32",
    value_stride: "u32",
    values_first: "u32",
    scales_first: "u32",
  },
  buffers: { staged: "read", cache: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 32 },
  grid: ({ key_stride, value_stride }, { LANES }, tokens) => [
    Math.ceil((key_stride + value_stride) / UNIT_NUMBERS / LANES!),
    tokens,
    1,
  ],
  work: ({ key_width, value_width }, _constants, { tokens }) => ({
    words: tokens * (key_width + value_width),
    multiplyAdds: 0,
    cached: tokens * (key_width + value_width),
  }),
});
