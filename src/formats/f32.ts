import source from "../../shaders/formats/f32.wgsl?raw";
import alone from "../../shaders/formats/f32_alone.wgsl?raw";
import type { WeightFormat } from "./format.ts";

/** IEEE single precision. */
export const f32: WeightFormat = {
  name: "f32",
  ggmlType: 0,
  blockWeights: 1,
  blockBytes: 4,
  planeBlockBytes: [4],
  parts: [source],
  aloneParts: [alone],
  repack(blocks, planes) {
    planes[0]!.set(blocks);
  },
  // Copies with `new`: `slice` of a Node Buffer shares its memory.
  decode: (blocks) => new Float32Array(new Uint8Array(blocks).buffer),
  readFloats(plane, first, count, target, at) {
    for (let i = 0; i < count; i++) {
      target[at + i] = plane.getInt32(4 * (first + i), true);
    }
  },
  encode: (weights) => new Uint8Array(new Float32Array(weights).buffer),
};
