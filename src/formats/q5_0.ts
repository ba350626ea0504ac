import block from "../../shaders/formats/blocks/q5_0.wgsl?raw";
import source from "../../shaders/formats/q5_0.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitFarthest } from "./fit.ts";
import { FIVE_BIT_PLANES, fiveBitQuant, putFiveBitQuants, repackFiveBits } from "./five-bits.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScales } from "./half-scales.ts";
import { readSplitQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 22 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Byte of a block at which its quants start; before it lies the scale, f16. */
const QUANTS = 2;
/** The quant of weight 0. */
const ZERO = 16;

/**
 * 32 weights of 5 bits and a scale.
 *
 * Source: ggml block_q5_0, quantize_row_q5_0_ref.
 */
export const q5_0: WeightFormat = {
  name: "q5_0",
  ggmlType: 6,
  ...SIZES,
  planeBlockBytes: [...FIVE_BIT_PLANES, 2],
  parts: [source, bytes, quants, half, halfPlane],
  isScaled: true,
  blockParts: [block, blocks, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [low, high, scales] = planes.map(viewOf) as [DataView, DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      repackFiveBits(from, start + QUANTS, low, high, block);
      scales.setUint16(2 * block, from.getUint16(start, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const scale = f16ToF32(block.getUint16(0, true));
      for (let i = 0; i < weights.length; i++) {
        weights[i] = (fiveBitQuant(block, QUANTS, i) - ZERO) * scale;
      }
    }),

  integers: {
    groupWeights: 32,
    hasMins: false,
    read([low, high, scales], first, blocks, target) {
      readSplitQuants(low!, 4, high!, 1, ZERO, QUADS * first, QUADS * blocks, target);
      readHalfScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const { scale, quants } = fitFarthest(values, ZERO);
      block.setUint16(0, f32ToF16(scale), true);
      putFiveBitQuants(block, QUANTS, quants);
    }),
};
