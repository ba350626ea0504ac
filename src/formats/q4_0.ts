import source from "../../shaders/formats/q4_0.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import { splitNibbles, viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import type { WeightFormat } from "./format.ts";

const BLOCK_WEIGHTS = 32;
const BLOCK_BYTES = 18;
/** Byte of a block at which its quants start; before it lies the scale, f16. */
const QUANTS = 2;
const QUANT_BYTES = 16;

/**
 * 32 weights of 4 bits and a scale. Byte `i` of the quants holds weights `i` (low half) and `i + 16` (high half).
 *
 * Source: ggml block_q4_0, quantize_row_q4_0_ref.
 */
export const q4_0: WeightFormat = {
  name: "q4_0",
  ggmlType: 2,
  blockWeights: BLOCK_WEIGHTS,
  blockBytes: BLOCK_BYTES,
  planeBlockBytes: [QUANT_BYTES, 2],
  parts: [source, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const quants = viewOf(planes[0]!);
    const scales = viewOf(planes[1]!);
    const count = blocks.byteLength / BLOCK_BYTES;
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      const to = block * QUANT_BYTES;
      scales.setUint16(2 * block, from.getUint16(start, true), true);
      splitNibbles(from, start + QUANTS, quants, to, to + 8);
      splitNibbles(from, start + QUANTS + 8, quants, to + 4, to + 12);
    }
  },

  decode(blocks) {
    const from = viewOf(blocks);
    const count = blocks.byteLength / BLOCK_BYTES;
    const weights = new Float32Array(count * BLOCK_WEIGHTS);
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      const first = block * BLOCK_WEIGHTS;
      const scale = f16ToF32(from.getUint16(start, true));
      for (let i = 0; i < QUANT_BYTES; i++) {
        const pair = from.getUint8(start + QUANTS + i);
        weights[first + i] = ((pair & 15) - 8) * scale;
        weights[first + i + 16] = ((pair >> 4) - 8) * scale;
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
      // The weight farthest from 0 becomes quant 0, which is -8 scales.
      const scale = farthestFromZero(values) / -8;
      const perScale = scale === 0 ? 0 : Math.fround(1 / scale);
      const start = block * BLOCK_BYTES;
      to.setUint16(start, f32ToF16(scale), true);
      for (let i = 0; i < QUANT_BYTES; i++) {
        const pair = quant(values[i]!, perScale) | (quant(values[i + 16]!, perScale) << 4);
        to.setUint8(start + QUANTS + i, pair);
      }
    }
    return blocks;
  },
};

function farthestFromZero(values: Float32Array): number {
  return values.reduce((far, value) => (Math.abs(value) > Math.abs(far) ? value : far), 0);
}

function quant(value: number, perScale: number): number {
  return Math.min(15, Math.trunc(Math.fround(Math.fround(value * perScale) + 8.5)));
}
