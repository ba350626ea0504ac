import normed from "../../../shaders/linear/input/normed_before.wgsl?raw";
import write from "../../../shaders/linear/store/bytes.wgsl?raw";
import blockEights from "../../../shaders/linear/unit/block_eights.wgsl?raw";
import blockQuads from "../../../shaders/linear/unit/block_quads.wgsl?raw";
import blocks from "../../../shaders/linear/unit/blocks.wgsl?raw";
import type { InputFormat } from "./format.ts";

/** Signed bytes: what is lost is up to a 254th of a block's largest magnitude. */
export const int8: InputFormat = {
  blockBytes: 48,
  write,
  units: {
    integers: { parts: [normed, blockQuads, blocks], integers: true, needs: "packedDot" },
    numbers: { parts: [normed, blockQuads, blockEights], integers: false },
  },
};
