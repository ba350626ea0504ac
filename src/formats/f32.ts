import source from "../../shaders/formats/f32.wgsl?raw";
import type { WeightFormat } from "./format.ts";

/** IEEE single precision. */
export const f32: WeightFormat = {
  name: "f32",
  ggmlType: 0,
  blockWeights: 1,
  blockBytes: 4,
  planeBlockBytes: [4],
  source,
  repack(blocks, planes) {
    planes[0]!.set(blocks);
  },
  decode: (blocks) => new Float32Array(blocks.slice().buffer),
  encode: (weights) => new Uint8Array(weights.slice().buffer),
};
