import source from "../../shaders/formats/q3_k.wgsl?raw";
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

const SIZES = { blockWeights: 256, blockBytes: 110 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale. */
const GROUP_WEIGHTS = 16;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Bytes of a block: the high bits of the quants from 0 on, their low 2 bits, the scales (6 bits each), and d (f16). */
const HIGH_BYTES = 32;
const LOW = HIGH_BYTES;
const LOW_BYTES = 64;
const SCALES = LOW + LOW_BYTES;
const SCALE_BYTES = 12;
const D = SCALES + SCALE_BYTES;
const lowPairs = bitRuns(32, 2);
const highBits = bitRuns(32, 1);
/** The low 4 bits of the scales: 8 bytes, of which the low halves are the first 8. Then their high 2 bits, 4 bytes. */
const scaleNibbles = bitRuns(8, 4);
const scalePairs = bitRuns(4, 2);
const SCALE_PAIRS = 8;
/** The quant of weight 0, and the scale of scale 0. */
const ZERO = 4;
const ZERO_SCALE = 32;
const MAX_QUANT = 3;
const MAX_SCALE = 31;

/**
 * 256 weights of 3 bits in 16 groups, each with a scale that is a multiple of the block's.
 *
 * Source: ggml block_q3_K, dequantize_row_q3_K.
 */
export const q3_k: WeightFormat = {
  name: "q3_k",
  ggmlType: 11,
  ...SIZES,
  planeBlockBytes: [LOW_BYTES, HIGH_BYTES, SCALE_BYTES, 2],
  parts: [source, bytes, quants, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [low, high, scales, ds] = planes.map(viewOf) as [DataView, DataView, DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      lowPairs.repack(from, start + LOW, low, block * LOW_BYTES, SIZES.blockWeights);
      highBits.repack(from, start, high, block * HIGH_BYTES, SIZES.blockWeights);
      copyWords(from, start + SCALES, scales, block * SCALE_BYTES, SCALE_BYTES);
      ds.setUint16(2 * block, from.getUint16(start + D, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const d = f16ToF32(block.getUint16(D, true));
      for (let i = 0; i < weights.length; i++) {
        const quant = lowPairs.get(block, LOW, i) | (highBits.get(block, 0, i) << 2);
        weights[i] = (quant - ZERO) * (d * scaleOf(block, SCALES, Math.floor(i / GROUP_WEIGHTS)));
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: false,
    read([low, high, scales, ds], first, blocks, target) {
      readSplitQuants(low!, 2, high!, 1, ZERO, QUADS * first, QUADS * blocks, target);
      readScales(scales!, ds!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const fit = fitSymmetric(groupsOf(values, GROUP_WEIGHTS), MAX_QUANT, MAX_SCALE);
      for (let group = 0; group < GROUPS; group++) {
        const bits = fit.multiples[group]! + ZERO_SCALE;
        scaleNibbles.put(block, SCALES, group, bits & 15);
        scalePairs.put(block, SCALES + SCALE_PAIRS, group, bits >> 4);
      }
      block.setUint16(D, fit.dBits, true);
      values.forEach((value, i) => {
        const quant = fit.quantOf(Math.floor(i / GROUP_WEIGHTS), value) + ZERO;
        lowPairs.put(block, LOW, i, quant & 3);
        highBits.put(block, 0, i, quant >> 2);
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
      scales[at] = d * scaleOf(plane, SCALE_BYTES * block, i);
      at += groupStride;
    }
  }
}

/** What a group's scale multiplies d with; the block's scales start at byte `start` of `view`. */
function scaleOf(view: DataView, start: number, group: number): number {
  const low = scaleNibbles.get(view, start, group);
  return (low | (scalePairs.get(view, start + SCALE_PAIRS, group) << 4)) - ZERO_SCALE;
}
