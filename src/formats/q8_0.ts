import source from "../../shaders/formats/q8_0.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import type { WeightFormat } from "./format.ts";

const BLOCK_WEIGHTS = 32;
const BLOCK_BYTES = 34;
/** Byte of a block at which its quants start; before it lies the scale, f16. */
const QUANTS = 2;

/**
 * 32 signed bytes and a scale.
 *
 * Source: ggml block_q8_0, quantize_row_q8_0_ref.
 */
export const q8_0: WeightFormat = {
  name: "q8_0",
  ggmlType: 8,
  blockWeights: BLOCK_WEIGHTS,
  blockBytes: BLOCK_BYTES,
  planeBlockBytes: [32, 2],
  parts: [source, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const quants = viewOf(planes[0]!);
    const scales = viewOf(planes[1]!);
    const count = blocks.byteLength / BLOCK_BYTES;
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      scales.setUint16(2 * block, from.getUint16(start, true), true);
      for (let byte = 0; byte < BLOCK_WEIGHTS; byte += 4) {
        const word = from.getUint32(start + QUANTS + byte, true);
        quants.setUint32(block * BLOCK_WEIGHTS + byte, word, true);
      }
    }
  },

  decode(blocks) {
    const from = viewOf(blocks);
    const count = blocks.byteLength / BLOCK_BYTES;
    const weights = new Float32Array(count * BLOCK_WEIGHTS);
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      const scale = f16ToF32(from.getUint16(start, true));
      for (let i = 0; i < BLOCK_WEIGHTS; i++) {
        weights[block * BLOCK_WEIGHTS + i] = scale * from.getInt8(start + QUANTS + i);
      }
    }
    return weights;
  },

  encode(weights) {
    const count = weights.length / BLOCK_WEIGHTS;
    const blocks = new Uint8Array(count * BLOCK_BYTES);
    const to = viewOf(blocks);
    for (let block = 0; block < count; block++) {
      const values = weights.subarray(block * BLOCK_WEIGHTS, (block + 1) * BLOCK_WEIGHTS);
      const scale = Math.fround(
        values.reduce((top, value) => Math.max(top, Math.abs(value)), 0) / 127,
      );
      const perScale = scale === 0 ? 0 : Math.fround(1 / scale);
      const start = block * BLOCK_BYTES;
      to.setUint16(start, f32ToF16(scale), true);
      values.forEach((value, i) => {
        to.setInt8(start + QUANTS + i, roundHalfAway(Math.fround(value * perScale)));
      });
    }
    return blocks;
  },
};

/** C's `roundf`: `Math.round` takes -0.5 up. */
function roundHalfAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}
