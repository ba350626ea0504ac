import block from "../../shaders/formats/blocks/q5_1.wgsl?raw";
import source from "../../shaders/formats/q5_1.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitRange } from "./fit.ts";
import { FIVE_BIT_PLANES, fiveBitQuant, putFiveBitQuants, repackFiveBits } from "./five-bits.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScalesAndMins } from "./half-scales.ts";
import { readSplitQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 24 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Bytes of a block: the scale, f16, from 0 on; then the min, f16; then the quants. */
const MIN = 2;
const QUANTS = 4;
const MAX_QUANT = 31;

/**
 * 32 weights of 5 bits, a scale and a min.
 *
 * Source: ggml block_q5_1, quantize_row_q5_1_ref.
 */
export const q5_1: WeightFormat = {
  name: "q5_1",
  ggmlType: 7,
  ...SIZES,
  planeBlockBytes: [...FIVE_BIT_PLANES, QUANTS],
  parts: [source, bytes, quants, half],
  isScaled: true,
  blockParts: [block, blocks, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [low, high, scales] = planes.map(viewOf) as [DataView, DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      repackFiveBits(from, start + QUANTS, low, high, block);
      scales.setUint32(block * QUANTS, from.getUint32(start, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const scale = f16ToF32(block.getUint16(0, true));
      const min = f16ToF32(block.getUint16(MIN, true));
      for (let i = 0; i < weights.length; i++) {
        weights[i] = fiveBitQuant(block, QUANTS, i) * scale + min;
      }
    }),

  integers: {
    groupWeights: 32,
    hasMins: true,
    read([low, high, scales], first, blocks, target) {
      readSplitQuants(low!, 4, high!, 1, 0, QUADS * first, QUADS * blocks, target);
      readHalfScalesAndMins(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const { scale, min, quants } = fitRange(values, MAX_QUANT);
      block.setUint16(0, f32ToF16(scale), true);
      block.setUint16(MIN, f32ToF16(min), true);
      putFiveBitQuants(block, QUANTS, quants);
    }),
};
