import block from "../../shaders/formats/blocks/q4_k.wgsl?raw";
import source from "../../shaders/formats/q4_k.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import kScales from "../../shaders/formats/shared/k_scales.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { copyWords, viewOf } from "../numeric/bits.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitAffine, groupsOf } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { K_SCALE_BYTES, kMin, kScale, MAX_K_SCALE, putKScales, readKScales } from "./k-scales.ts";
import { readQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 144 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale and a min. */
const GROUP_WEIGHTS = 32;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Byte of a block at which its quants start; before them lie the scales. */
const QUANTS = K_SCALE_BYTES;
const QUANT_BYTES = 128;
const nibbles = bitRuns(32, 4);
const MAX_QUANT = 15;

/**
 * 256 weights of 4 bits in 8 groups, each with a scale and a min that are multiples of the block's.
 *
 * Source: ggml block_q4_K.
 */
export const q4_k: WeightFormat = {
  name: "q4_k",
  ggmlType: 12,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, K_SCALE_BYTES],
  parts: [source, bytes, quants, kScales, half],
  isScaled: true,
  blockParts: [block, blocks, kScales, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, scales] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      nibbles.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      copyWords(from, start, scales, block * K_SCALE_BYTES, K_SCALE_BYTES);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      for (let group = 0; group < GROUPS; group++) {
        // Both products are exact in f32, and their difference in f64: the store rounds once, as a GPU does with
        // or without a fused multiply-add.
        const scale = kScale(block, 0, group);
        const min = kMin(block, 0, group);
        for (let i = group * GROUP_WEIGHTS; i < (group + 1) * GROUP_WEIGHTS; i++) {
          weights[i] = nibbles.get(block, QUANTS, i) * scale - min;
        }
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: true,
    read([quants, scales], first, blocks, target) {
      readQuants(quants!, 4, 0, QUADS * first, QUADS * blocks, target);
      readKScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const fit = fitAffine(groupsOf(values, GROUP_WEIGHTS), MAX_QUANT, MAX_K_SCALE);
      putKScales(block, 0, fit.scales, fit.mins);
      values.forEach((value, i) => {
        nibbles.put(block, QUANTS, i, fit.quantOf(Math.floor(i / GROUP_WEIGHTS), value));
      });
    }),
};
