import half from "../../../shaders/formats/shared/half.wgsl?raw";
import normed from "../../../shaders/linear/input/normed_before.wgsl?raw";
import write from "../../../shaders/linear/store/halves.wgsl?raw";
import halfBlocks from "../../../shaders/linear/unit/half_blocks.wgsl?raw";
import type { InputFormat } from "./format.ts";

/** IEEE half precision: what is lost is up to a 2048th of a number, and as much in each of four additions. */
export const f16: InputFormat = {
  blockBytes: 80,
  write: `${write}\n${half}`,
  units: {
    halves: { parts: [normed, halfBlocks], integers: true, needs: "halves" },
  },
};
