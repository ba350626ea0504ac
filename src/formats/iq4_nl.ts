import block from "../../shaders/formats/blocks/iq4_nl.wgsl?raw";
import source from "../../shaders/formats/iq4_nl.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import tables from "../../shaders/formats/shared/nibble_tables.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import tableBlocks from "../../shaders/formats/shared/table_blocks.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16Up } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScales } from "./half-scales.ts";
import { IQ4_REACH, IQ4_TABLE, nearestIn } from "./nibble-tables.ts";
import { readFromTable } from "./quant-words.ts";

const SIZES = { blockWeights: 32, blockBytes: 18 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Byte of a block at which its quants start; before it lies the scale, f16. */
const QUANTS = 2;
const QUANT_BYTES = 16;
const nibbles = bitRuns(16, 4);

/**
 * 32 weights of 4 bits that name a number of a table, and a scale.
 *
 * Source: ggml block_iq4_nl.
 */
export const iq4_nl: WeightFormat = {
  name: "iq4_nl",
  ggmlType: 20,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, 2],
  parts: [source, bytes, quants, tables, half, halfPlane],
  isScaled: true,
  blockParts: [block, blocks, tableBlocks, tables, half, halfPlane],

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
        weights[i] = IQ4_TABLE[nibbles.get(block, QUANTS, i)]! * scale;
      }
    }),

  integers: {
    groupWeights: 32,
    hasMins: false,
    read([quants, scales], first, blocks, target) {
      readFromTable(quants!, IQ4_TABLE, QUADS * first, QUADS * blocks, target);
      readHalfScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const scaleBits = f32ToF16Up(Math.max(...values.map(Math.abs)) / IQ4_REACH);
      const scale = f16ToF32(scaleBits);
      block.setUint16(0, scaleBits, true);
      values.forEach((value, i) => {
        nibbles.put(block, QUANTS, i, nearestIn(IQ4_TABLE, scale, value));
      });
    }),
};
