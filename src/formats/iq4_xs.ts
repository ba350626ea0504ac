import block from "../../shaders/formats/blocks/iq4_xs.wgsl?raw";
import source from "../../shaders/formats/iq4_xs.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import tables from "../../shaders/formats/shared/nibble_tables.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import tableBlocks from "../../shaders/formats/shared/table_blocks.wgsl?raw";
import { copyWords, viewOf } from "../numeric/bits.ts";
import { f16ToF32 } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitMultiples, groupsOf } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import type { IntegerTarget } from "./integers.ts";
import { IQ4_REACH, IQ4_TABLE, nearestIn } from "./nibble-tables.ts";
import { readFromTable } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 136 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale. */
const GROUP_WEIGHTS = 32;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Bytes of a block: d, f16, from 0 on; the scales' high 2 bits, then their low 4 bits; then the quants. */
const HIGH_SCALES = 2;
const LOW_SCALES = 4;
const QUANTS = 8;
const QUANT_BYTES = 128;
const nibbles = bitRuns(16, 4);
/** What a scale is stored above its value. */
const ZERO_SCALE = 32;
const MAX_SCALE = 31;

/**
 * 256 weights of 4 bits that name a number of a table, in 8 groups, each with a scale that is a multiple of the block's.
 *
 * Source: ggml block_iq4_xs.
 */
export const iq4_xs: WeightFormat = {
  name: "iq4_xs",
  ggmlType: 23,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, QUANTS],
  parts: [source, bytes, quants, tables, half],
  isScaled: true,
  blockParts: [block, blocks, tableBlocks, tables, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, scales] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      nibbles.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      copyWords(from, start, scales, block * QUANTS, QUANTS);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const d = f16ToF32(block.getUint16(0, true));
      for (let i = 0; i < weights.length; i++) {
        const scale = d * scaleOf(block, 0, Math.floor(i / GROUP_WEIGHTS));
        weights[i] = IQ4_TABLE[nibbles.get(block, QUANTS, i)]! * scale;
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: false,
    read([quants, scales], first, blocks, target) {
      readFromTable(quants!, IQ4_TABLE, QUADS * first, QUADS * blocks, target);
      readScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const tops = groupsOf(values, GROUP_WEIGHTS).map(
        (group) => Math.max(...group.map(Math.abs)) / IQ4_REACH,
      );
      const { dBits, multiples, steps } = fitMultiples(tops, MAX_SCALE);
      block.setUint16(0, dBits, true);
      putScales(block, multiples);
      values.forEach((value, i) => {
        const step = steps[Math.floor(i / GROUP_WEIGHTS)]!;
        nibbles.put(block, QUANTS, i, nearestIn(IQ4_TABLE, step, value));
      });
    }),
};

function readScales(
  plane: DataView,
  first: number,
  blocks: number,
  { scales, group, groupStride }: IntegerTarget,
): void {
  let at = group;
  for (let block = first; block < first + blocks; block++) {
    const start = QUANTS * block;
    const d = f16ToF32(plane.getUint16(start, true));
    for (let i = 0; i < GROUPS; i++) {
      scales[at] = d * scaleOf(plane, start, i);
      at += groupStride;
    }
  }
}

/** What a group's scale multiplies d with; the block starts at byte `start` of `view`. */
function scaleOf(view: DataView, start: number, group: number): number {
  const low = (view.getUint32(start + LOW_SCALES, true) >>> (4 * group)) & 15;
  const high = (view.getUint16(start + HIGH_SCALES, true) >> (2 * group)) & 3;
  return (low | (high << 4)) - ZERO_SCALE;
}

function putScales(block: DataView, scales: readonly number[]): void {
  let low = 0;
  let high = 0;
  for (const [group, scale] of scales.entries()) {
    const bits = scale + ZERO_SCALE;
    low |= (bits & 15) << (4 * group);
    high |= (bits >> 4) << (2 * group);
  }
  block.setUint32(LOW_SCALES, low, true);
  block.setUint16(HIGH_SCALES, high, true);
}
