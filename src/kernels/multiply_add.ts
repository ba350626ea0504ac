import source from "../../shaders/probe/multiply_add.wgsl?raw";
import { defineKernel, foldGrid } from "../gpu/kernel.ts";

/** Multiply-adds of a thread in a round: see `shaders/probe/multiply_add.wgsl`. */
const MULTIPLY_ADDS_A_ROUND = 16;

/**
 * `16 * rounds` multiply-adds a thread, by which the arithmetic of a device is measured.
 *
 * y [threads] f32. A `factor` below 1 keeps the numbers small.
 */
export const multiplyAdd = defineKernel({
  name: "multiply_add",
  source,
  params: { threads: "u32", rounds: "u32", factor: "f32" },
  buffers: { y: "read_write" },
  weights: false,
  control: "none",
  constants: { LANES: 64 },
  grid: ({ threads }, { LANES = 64 }) => foldGrid(Math.ceil(threads / LANES)),
  work: ({ threads, rounds }) => ({
    words: threads,
    multiplyAdds: MULTIPLY_ADDS_A_ROUND * threads * rounds,
  }),
});
