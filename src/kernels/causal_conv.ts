import source from "../../shaders/recurrent/causal_conv.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/** The longest filter, in taps: see `shaders/recurrent/causal_conv.wgsl`. */
export const MAX_TAPS = 8;

/**
 * A convolution of each channel over the tokens so far, with what is done before and after it as a linked part.
 *
 * x [tokens, width] · filters [channels, taps], then [channels] for parts that want it · state [taps - 1, channels] ·
 * y [tokens, channels], all f32.
 */
export const causalConv = defineKernel({
  name: "causal_conv",
  source,
  params: { channels: "u32", taps: "u32", width: "u32", input_first: "u32" },
  buffers: { x: "read", filters: "read", state: "read_write", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ channels }, { LANES = 64 }) => [Math.ceil(channels / LANES), 1, 1],
  work: ({ channels, taps, width }, _constants, { tokens }) => ({
    words: tokens * (width + channels) + channels * (3 * taps - 2),
    multiplyAdds: tokens * channels * taps,
  }),
});
