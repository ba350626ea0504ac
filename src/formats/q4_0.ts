import block from "../../shaders/formats/blocks/q4_0.wgsl?raw";
import source from "../../shaders/formats/q4_0.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitFarthest } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScales } from "./half-scales.ts";
import { readQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 18 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Byte of a block at which its quants start; before it lies the scale, f16. */
const QUANTS = 2;
const QUANT_BYTES = 16;
const nibbles = bitRuns(16, 4);
/** The quant of weight 0. */
const ZERO = 8;

/**
 * 32 weights of 4 bits and a scale.
 *
 * Source: ggml block_q4_0, quantize_row_q4_0_ref.
 */
export const q4_0: WeightFormat = {
  name: "q4_0",
  ggmlType: 2,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, 2],
  parts: [source, bytes, quants, half, halfPlane],
  isScaled: true,
  blockParts: [block, blocks, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, scales] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      nibbles.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      scales.setUint16(2 * block, from.getUint16(start, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const scale = f16ToF32(block.getUint16(0, true));
      for (let i = 0; i < weights.length; i++) {
        weights[i] = (nibbles.get(block, QUANTS, i) - ZERO) * scale;
      }
    }),

  integers: {
    groupWeights: 32,
    hasMins: false,
    read([quants, scales], first, blocks, target) {
      readQuants(quants!, 4, ZERO, QUADS * first, QUADS * blocks, target);
      readHalfScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const { scale, quants } = fitFarthest(values, ZERO);
      block.setUint16(0, f32ToF16(scale), true);
      quants.forEach((quant, i) => {
        nibbles.put(block, QUANTS, i, quant);
      });
    }),
};
