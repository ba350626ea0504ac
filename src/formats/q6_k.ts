import block from "../../shaders/formats/blocks/q6_k.wgsl?raw";
import source from "../../shaders/formats/q6_k.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { copyWords, viewOf } from "../numeric/bits.ts";
import { f16ToF32 } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitSymmetric, groupsOf } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import type { IntegerTarget } from "./integers.ts";
import { readSplitQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 210 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale. */
const GROUP_WEIGHTS = 16;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Bytes of a block: the low 4 bits of the quants from 0 on, their high 2 bits, the scales (i8), and d (f16). */
const LOW_BYTES = 128;
const HIGH = LOW_BYTES;
const HIGH_BYTES = 64;
const SCALES = HIGH + HIGH_BYTES;
const D = SCALES + GROUPS;
const lowNibbles = bitRuns(64, 4);
const highPairs = bitRuns(32, 2);
/** The quant of weight 0. */
const ZERO = 32;
const MAX_QUANT = 31;
const MAX_SCALE = 127;

/**
 * 256 weights of 6 bits in 16 groups, each with a scale that is a multiple of the block's.
 *
 * Source: ggml block_q6_K.
 */
export const q6_k: WeightFormat = {
  name: "q6_k",
  ggmlType: 14,
  ...SIZES,
  planeBlockBytes: [LOW_BYTES, HIGH_BYTES, GROUPS, 2],
  parts: [source, bytes, quants, half, halfPlane],
  blockParts: [block, blocks, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [low, high, scales, ds] = planes.map(viewOf) as [DataView, DataView, DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      lowNibbles.repack(from, start, low, block * LOW_BYTES, SIZES.blockWeights);
      highPairs.repack(from, start + HIGH, high, block * HIGH_BYTES, SIZES.blockWeights);
      copyWords(from, start + SCALES, scales, block * GROUPS, GROUPS);
      ds.setUint16(2 * block, from.getUint16(start + D, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const d = f16ToF32(block.getUint16(D, true));
      for (let i = 0; i < weights.length; i++) {
        const quant = lowNibbles.get(block, 0, i) | (highPairs.get(block, HIGH, i) << 4);
        const scale = d * block.getInt8(SCALES + Math.floor(i / GROUP_WEIGHTS));
        weights[i] = (quant - ZERO) * scale;
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: false,
    read([low, high, scales, ds], first, blocks, target) {
      readSplitQuants(low!, 4, high!, 2, ZERO, QUADS * first, QUADS * blocks, target);
      readScales(scales!, ds!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const fit = fitSymmetric(groupsOf(values, GROUP_WEIGHTS), MAX_QUANT, MAX_SCALE);
      fit.multiples.forEach((multiple, group) => {
        block.setInt8(SCALES + group, multiple);
      });
      block.setUint16(D, fit.dBits, true);
      values.forEach((value, i) => {
        const quant = fit.quantOf(Math.floor(i / GROUP_WEIGHTS), value) + ZERO;
        lowNibbles.put(block, 0, i, quant & 15);
        highPairs.put(block, HIGH, i, quant >> 4);
      });
    }),
};

function readScales(
  plane: DataView,
  ds: DataView,
  first: number,
  blocks: number,
  { scales, group, groupStride }: IntegerTarget,
): void {
  let at = group;
  for (let block = first; block < first + blocks; block++) {
    const d = f16ToF32(ds.getUint16(2 * block, true));
    for (let i = 0; i < GROUPS; i++) {
      scales[at] = d * plane.getInt8(GROUPS * block + i);
      at += groupStride;
    }
  }
}
