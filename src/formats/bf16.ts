import source from "../../shaders/formats/bf16.wgsl?raw";
import { bf16ToF32, f32ToBf16 } from "../numeric/bf16.ts";
import type { WeightFormat } from "./format.ts";

/** bfloat16: the upper half of an f32. */
export const bf16: WeightFormat = {
  name: "bf16",
  ggmlType: 30,
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
    for (let i = 0; i < bits.length; i++) weights[i] = bf16ToF32(bits[i]!);
    return weights;
  },
  readFloats(plane, first, count, target, at) {
    for (let i = 0; i < count; i++) {
      target[at + i] = plane.getUint16(2 * (first + i), true) << 16;
    }
  },
  encode: (weights) => new Uint8Array(new Uint16Array(weights.map(f32ToBf16)).buffer),
};
