import block from "../../shaders/formats/blocks/q4_1.wgsl?raw";
import source from "../../shaders/formats/q4_1.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitRange } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScalesAndMins } from "./half-scales.ts";
import { readQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 20 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Bytes of a block: the scale, f16, from 0 on; then the min, f16; then the quants. */
const MIN = 2;
const QUANTS = 4;
const QUANT_BYTES = 16;
const nibbles = bitRuns(16, 4);
const MAX_QUANT = 15;

/**
 * 32 weights of 4 bits, a scale and a min.
 *
 * Source: ggml block_q4_1, quantize_row_q4_1_ref.
 */
export const q4_1: WeightFormat = {
  name: "q4_1",
  ggmlType: 3,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, QUANTS],
  parts: [source, bytes, quants, half],
  isScaled: true,
  blockParts: [block, blocks, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, scales] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      nibbles.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      scales.setUint32(block * QUANTS, from.getUint32(start, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const scale = f16ToF32(block.getUint16(0, true));
      const min = f16ToF32(block.getUint16(MIN, true));
      for (let i = 0; i < weights.length; i++) {
        weights[i] = nibbles.get(block, QUANTS, i) * scale + min;
      }
    }),

  integers: {
    groupWeights: 32,
    hasMins: true,
    read([quants, scales], first, blocks, target) {
      readQuants(quants!, 4, 0, QUADS * first, QUADS * blocks, target);
      readHalfScalesAndMins(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const { scale, min, quants } = fitRange(values, MAX_QUANT);
      block.setUint16(0, f32ToF16(scale), true);
      block.setUint16(MIN, f32ToF16(min), true);
      quants.forEach((quant, i) => {
        nibbles.put(block, QUANTS, i, quant);
      });
    }),
};
