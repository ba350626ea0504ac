import block from "../../shaders/formats/blocks/q5_k.wgsl?raw";
import source from "../../shaders/formats/q5_k.wgsl?raw";
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
import { readSplitQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 176 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale and a min. */
const GROUP_WEIGHTS = 32;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Bytes of a block: the scales from 0 on, the high bits of the quants, and their low 4 bits. */
const HIGH = K_SCALE_BYTES;
const HIGH_BYTES = 32;
const LOW = HIGH + HIGH_BYTES;
const LOW_BYTES = 128;
const lowNibbles = bitRuns(32, 4);
const highBits = bitRuns(32, 1);
const MAX_QUANT = 31;

/**
 * 256 weights of 5 bits in 8 groups, each with a scale and a min that are multiples of the block's.
 *
 * Source: ggml block_q5_K.
 */
export const q5_k: WeightFormat = {
  name: "q5_k",
  ggmlType: 13,
  ...SIZES,
  planeBlockBytes: [LOW_BYTES, HIGH_BYTES, K_SCALE_BYTES],
  parts: [source, bytes, quants, kScales, half],
  isScaled: true,
  blockParts: [block, blocks, kScales, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [low, high, scales] = planes.map(viewOf) as [DataView, DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      lowNibbles.repack(from, start + LOW, low, block * LOW_BYTES, SIZES.blockWeights);
      highBits.repack(from, start + HIGH, high, block * HIGH_BYTES, SIZES.blockWeights);
      copyWords(from, start, scales, block * K_SCALE_BYTES, K_SCALE_BYTES);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      for (let group = 0; group < GROUPS; group++) {
        // The products are exact, and the store rounds their difference once, as in q4_k.
        const scale = kScale(block, 0, group);
        const min = kMin(block, 0, group);
        for (let i = group * GROUP_WEIGHTS; i < (group + 1) * GROUP_WEIGHTS; i++) {
          const quant = lowNibbles.get(block, LOW, i) | (highBits.get(block, HIGH, i) << 4);
          weights[i] = quant * scale - min;
        }
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: true,
    read([low, high, scales], first, blocks, target) {
      readSplitQuants(low!, 4, high!, 1, 0, QUADS * first, QUADS * blocks, target);
      readKScales(scales!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const fit = fitAffine(groupsOf(values, GROUP_WEIGHTS), MAX_QUANT, MAX_K_SCALE);
      putKScales(block, 0, fit.scales, fit.mins);
      values.forEach((value, i) => {
        const quant = fit.quantOf(Math.floor(i / GROUP_WEIGHTS), value);
        lowNibbles.put(block, LOW, i, quant & 15);
        highBits.put(block, HIGH, i, quant >> 4);
      });
    }),
};
