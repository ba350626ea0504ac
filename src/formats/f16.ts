import source from "../../shaders/formats/f16.wgsl?raw";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import type { WeightFormat } from "./format.ts";

/** IEEE half precision. */
export const f16: WeightFormat = {
  name: "f16",
  ggmlType: 1,
  blockWeights: 1,
  blockBytes: 2,
  planeBlockBytes: [2],
  source,
  repack(blocks, planes) {
    planes[0]!.set(blocks);
  },
  decode: (blocks) => Float32Array.from(new Uint16Array(new Uint8Array(blocks).buffer), f16ToF32),
  encode: (weights) => new Uint8Array(Uint16Array.from(weights, f32ToF16).buffer),
};
