import source from "../../shaders/formats/f16.wgsl?raw";
import { f16ToF32, f16ToF32Bits, f32ToF16 } from "../numeric/f16.ts";
import type { WeightFormat } from "./format.ts";

/** IEEE half precision. */
export const f16: WeightFormat = {
  name: "f16",
  ggmlType: 1,
  blockWeights: 1,
  blockBytes: 2,
  planeBlockBytes: [2],
  parts: [source],
  repack(blocks, planes) {
    planes[0]!.set(blocks);
  },
  decode(blocks) {
    const bits = new Uint16Array(new Uint8Array(blocks).buffer);
    const weights = new Float32Array(bits.length);
    for (let i = 0; i < bits.length; i++) weights[i] = f16ToF32(bits[i]!);
    return weights;
  },
  readFloats(plane, first, count, target, at) {
    for (let i = 0; i < count; i++) {
      target[at + i] = f16ToF32Bits(plane.getUint16(2 * (first + i), true));
    }
  },
  encode: (weights) => new Uint8Array(new Uint16Array(weights.map(f32ToF16)).buffer),
};
