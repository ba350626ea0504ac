import block from "../../shaders/formats/blocks/q8_0.wgsl?raw";
import source from "../../shaders/formats/q8_0.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import { copyWords, viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { inverse, roundHalfAway } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScales } from "./half-scales.ts";
import { readQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 34 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Byte of a block at which its quants start; before it lies the scale, f16. */
const QUANTS = 2;
const QUANT_BYTES = 32;
const MAX_QUANT = 127;

/**
 * 32 signed bytes and a scale.
 *
 * Source: ggml block_q8_0, quantize_row_q8_0_ref.
 */
export const q8_0: WeightFormat = {
  name: "q8_0",
  ggmlType: 8,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, 2],
  parts: [source, bytes, half, halfPlane],
  isScaled: true,
  blockParts: [block, blocks, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quants, scales] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      copyWords(from, start + QUANTS, quants, block * QUANT_BYTES, QUANT_BYTES);
      scales.setUint16(2 * block, from.getUint16(start, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const scale = f16ToF32(block.getUint16(0, true));
      for (let i = 0; i < weights.length; i++) weights[i] = scale * block.getInt8(QUANTS + i);
    }),

  integers: {
    groupWeights: 32,
    hasMins: false,
    read([quants, scales], first, blocks, target) {
      readQuants(quants!, 8, 0, QUADS * first, QUADS * blocks, target);
      readHalfScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const scale = Math.fround(Math.max(...values.map(Math.abs)) / MAX_QUANT);
      const perScale = inverse(scale);
      block.setUint16(0, f32ToF16(scale), true);
      values.forEach((value, i) => {
        block.setInt8(QUANTS + i, roundHalfAway(Math.fround(value * perScale)));
      });
    }),
};
