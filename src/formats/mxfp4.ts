import block from "../../shaders/formats/blocks/mxfp4.wgsl?raw";
import source from "../../shaders/formats/mxfp4.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import tables from "../../shaders/formats/shared/nibble_tables.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import tableBlocks from "../../shaders/formats/shared/table_blocks.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import type { WeightFormat } from "./format.ts";
import { E2M1_TABLE, nearestIn } from "./nibble-tables.ts";
import { readFromTable } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 17 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Byte of a block at which its quants start; before it lies the exponent. */
const QUANTS = 1;
const QUANT_BYTES = 16;
const nibbles = bitRuns(16, 4);
/** The exponent that stands for a scale of 1: the table's numbers are doubled, so it is one above that of E8M0. */
const BIAS = 128;
/** The scale of each exponent. */
const SCALES = Float32Array.from({ length: 256 }, (_, exponent) => 2 ** (exponent - BIAS));
/** The exponent of the largest 4-bit float, 6, is 2, and E8M0's bias is 127. */
const EXPONENT_OF_TOP = 127 - 2;

/**
 * 32 weights of 4-bit floats and a power of two. Exponents from 253 on give infinities, as in ggml.
 *
 * Source: ggml block_mxfp4, ggml_e8m0_to_fp32_half; OCP Microscaling Formats.
 */
export const mxfp4: WeightFormat = {
  name: "mxfp4",
  ggmlType: 39,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, 1],
  parts: [source, bytes, quants, tables],
  isScaled: true,
  blockParts: [block, blocks, tableBlocks, tables],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, exponents] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      nibbles.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      exponents.setUint8(block, from.getUint8(start));
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const scale = 2 ** (block.getUint8(0) - BIAS);
      for (let i = 0; i < weights.length; i++) {
        weights[i] = E2M1_TABLE[nibbles.get(block, QUANTS, i)]! * scale;
      }
    }),

  integers: {
    groupWeights: 32,
    hasMins: false,
    read([quants, exponents], first, blocks, target) {
      readFromTable(quants!, E2M1_TABLE, QUADS * first, QUADS * blocks, target);
      const { scales, group, groupStride } = target;
      for (let block = 0; block < blocks; block++) {
        scales[group + block * groupStride] = SCALES[exponents!.getUint8(first + block)]!;
      }
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const top = Math.max(...values.map(Math.abs));
      const exponent = top === 0 ? 0 : Math.max(0, Math.floor(Math.log2(top)) + EXPONENT_OF_TOP);
      const scale = 2 ** (exponent - BIAS);
      block.setUint8(0, exponent);
      values.forEach((value, i) => {
        nibbles.put(block, QUANTS, i, nearestIn(E2M1_TABLE, scale, value));
      });
    }),
};
