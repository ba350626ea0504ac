import source from "../../shaders/probe/idle.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * Nothing, unless `writes`: by which the cost of a dispatch is measured.
 *
 * y [1] f32.
 */
export const idle = defineKernel({
  name: "idle",
  source,
  params: { writes: "u32" },
  buffers: { y: "read_write" },
  weights: false,
  control: "none",
  constants: {},
  grid: () => [1, 1, 1],
  work: ({ writes }) => ({ words: Math.min(writes, 1), multiplyAdds: 0 }),
});
