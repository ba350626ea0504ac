import source from "../../shaders/linear/last_token.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * The row of the pass's last token.
 *
 * x [tokens, width] · y [width] f32.
 */
export const lastToken = defineKernel({
  name: "last_token",
  source,
  params: { width: "u32" },
  buffers: { x: "read", y: "read_write" },
  weights: false,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ width }, { LANES = 64 }) => [Math.ceil(width / LANES), 1, 1],
  work: ({ width }) => ({ words: 2 * width, multiplyAdds: 0 }),
});
