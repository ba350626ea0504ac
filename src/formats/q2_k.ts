import block from "../../shaders/formats/blocks/q2_k.wgsl?raw";
import source from "../../shaders/formats/q2_k.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { copyWords, viewOf } from "../numeric/bits.ts";
import { f16ToF32 } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitAffine, groupsOf } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import type { IntegerTarget } from "./integers.ts";
import { readQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 84 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale and a min. */
const GROUP_WEIGHTS = 16;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Bytes of a block: a scale and a min for each group, 4 bits each, from 0 on; the quants; d and dmin, f16. */
const QUANTS = GROUPS;
const QUANT_BYTES = 64;
const D = QUANTS + QUANT_BYTES;
const DMIN = D + 2;
const pairs = bitRuns(32, 2);
const MAX_QUANT = 3;
const MAX_SCALE = 15;

/**
 * 256 weights of 2 bits in 16 groups, each with a scale and a min that are multiples of the block's.
 *
 * Source: ggml block_q2_K.
 */
export const q2_k: WeightFormat = {
  name: "q2_k",
  ggmlType: 10,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, GROUPS, 4],
  parts: [source, bytes, quants, half],
  blockParts: [block, blocks, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, scales, ds] = planes.map(viewOf) as [DataView, DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      pairs.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      copyWords(from, start, scales, block * GROUPS, GROUPS);
      ds.setUint32(4 * block, from.getUint32(start + D, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const d = f16ToF32(block.getUint16(D, true));
      const dmin = f16ToF32(block.getUint16(DMIN, true));
      for (let i = 0; i < weights.length; i++) {
        const scaleMin = block.getUint8(Math.floor(i / GROUP_WEIGHTS));
        // The products are exact, and the store rounds their difference once, as in q4_k.
        weights[i] = pairs.get(block, QUANTS, i) * (d * (scaleMin & 15)) - dmin * (scaleMin >> 4);
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: true,
    read([quants, scales, ds], first, blocks, target) {
      readQuants(quants!, 2, 0, QUADS * first, QUADS * blocks, target);
      readScales(scales!, ds!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const fit = fitAffine(groupsOf(values, GROUP_WEIGHTS), MAX_QUANT, MAX_SCALE);
      for (let group = 0; group < GROUPS; group++) {
        block.setUint8(group, fit.scales.multiples[group]! | (fit.mins.multiples[group]! << 4));
      }
      block.setUint16(D, fit.scales.dBits, true);
      block.setUint16(DMIN, fit.mins.dBits, true);
      values.forEach((value, i) => {
        pairs.put(block, QUANTS, i, fit.quantOf(Math.floor(i / GROUP_WEIGHTS), value));
      });
    }),
};

function readScales(
  plane: DataView,
  ds: DataView,
  first: number,
  blocks: number,
  { scales, mins, group, groupStride }: IntegerTarget,
): void {
  let at = group;
  for (let block = first; block < first + blocks; block++) {
    const d = f16ToF32(ds.getUint16(4 * block, true));
    const dmin = f16ToF32(ds.getUint16(4 * block + 2, true));
    for (let i = 0; i < GROUPS; i++) {
      const scaleMin = plane.getUint8(GROUPS * block + i);
      scales[at] = d * (scaleMin & 15);
      mins[at] = dmin * (scaleMin >> 4);
      at += groupStride;
    }
  }
}
