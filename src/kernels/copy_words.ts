import source from "../../shaders/probe/copy_words.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/**
 * A copy of `4 * quads` numbers, by which the bandwidth of a device is measured.
 *
 * x, y [quads, 4] f32.
 */
export const copyWords = defineKernel({
  name: "copy_words",
  source,
  params: { quads: "u32" },
  buffers: { x: "read", y: "read_write" },
  weights: false,
  control: "none",
  constants: { LANES: 64 },
  grid: ({ quads }, { LANES = 64 }) => foldGrid(Math.ceil(quads / LANES)),
  work: ({ quads }) => ({ words: 8 * quads, multiplyAdds: 0 }),
});
