import source from "../../shaders/formats/q6_k.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import { splitNibbles, viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16Up } from "../numeric/f16.ts";
import type { WeightFormat } from "./format.ts";

const BLOCK_WEIGHTS = 256;
const BLOCK_BYTES = 210;
/** Weights that share a scale. */
const GROUP_WEIGHTS = 16;
const GROUPS = BLOCK_WEIGHTS / GROUP_WEIGHTS;
/** Bytes of a block: the low 4 bits of the quants from 0 on, their high 2 bits, the scales (i8), and d (f16). */
const LOW_BYTES = 128;
const HIGH = LOW_BYTES;
const HIGH_BYTES = 64;
const SCALES = HIGH + HIGH_BYTES;
const D = SCALES + GROUPS;
const MAX_SCALE = 127;
const MAX_QUANT = 31;

/**
 * 256 weights of 6 bits in 16 groups, each with a scale that is a multiple of the block's.
 *
 * Each half of the block has 128 weights in four runs of 32. Its 64 bytes of low bits hold runs 0 and 1 in their low
 * halves and runs 2 and 3 in their high halves; its 32 bytes of high bits hold one weight of each run, run 0 lowest.
 *
 * Source: ggml block_q6_K.
 */
export const q6_k: WeightFormat = {
  name: "q6_k",
  ggmlType: 14,
  blockWeights: BLOCK_WEIGHTS,
  blockBytes: BLOCK_BYTES,
  planeBlockBytes: [LOW_BYTES, HIGH_BYTES, GROUPS, 2],
  parts: [source, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const low = viewOf(planes[0]!);
    const high = viewOf(planes[1]!);
    const scales = viewOf(planes[2]!);
    const ds = viewOf(planes[3]!);
    const count = blocks.byteLength / BLOCK_BYTES;
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      for (let byte = 0; byte < LOW_BYTES; byte += 8) {
        const to = block * LOW_BYTES + (byte & ~63) + ((byte & 63) >> 1);
        splitNibbles(from, start + byte, low, to, to + 32);
      }
      for (let byte = 0; byte < HIGH_BYTES; byte += 16) {
        const to = block * HIGH_BYTES + (byte & ~31) + ((byte & 31) >> 2);
        splitRuns(from, start + HIGH + byte, high, to);
      }
      for (let byte = 0; byte < GROUPS; byte += 4) {
        scales.setUint32(block * GROUPS + byte, from.getUint32(start + SCALES + byte, true), true);
      }
      ds.setUint16(2 * block, from.getUint16(start + D, true), true);
    }
  },

  decode(blocks) {
    const from = viewOf(blocks);
    const count = blocks.byteLength / BLOCK_BYTES;
    const weights = new Float32Array(count * BLOCK_WEIGHTS);
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      const d = f16ToF32(from.getUint16(start + D, true));
      for (let group = 0; group < GROUPS; group++) {
        const scale = d * from.getInt8(start + SCALES + group);
        for (let i = group * GROUP_WEIGHTS; i < (group + 1) * GROUP_WEIGHTS; i++) {
          const { lowByte, lowShift, highByte, highShift } = placeOf(i);
          const low = (from.getUint8(start + lowByte) >> lowShift) & 15;
          const high = (from.getUint8(start + highByte) >> highShift) & 3;
          weights[block * BLOCK_WEIGHTS + i] = ((low | (high << 4)) - 32) * scale;
        }
      }
    }
    return weights;
  },

  encode(weights) {
    const count = weights.length / BLOCK_WEIGHTS;
    const blocks = new Uint8Array(count * BLOCK_BYTES);
    for (let block = 0; block < count; block++) {
      const values = weights.subarray(block * BLOCK_WEIGHTS, (block + 1) * BLOCK_WEIGHTS);
      encodeBlock(values, blocks.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES));
    }
    return blocks;
  },
};

/** Takes 16 bytes of high bits, 16 weights of each of four runs, to a word for each run, 8 bytes apart. */
function splitRuns(from: DataView, source: number, to: DataView, target: number): void {
  const even0 = from.getUint32(source, true);
  const even4 = from.getUint32(source + 4, true);
  const odd0 = from.getUint32(source + 8, true);
  const odd4 = from.getUint32(source + 12, true);
  for (let run = 0; run < 4; run++) {
    const shift = 2 * run;
    const word =
      ((even0 >>> shift) & 0x0303_0303) |
      (((even4 >>> shift) & 0x0303_0303) << 2) |
      (((odd0 >>> shift) & 0x0303_0303) << 4) |
      (((odd4 >>> shift) & 0x0303_0303) << 6);
    to.setUint32(target + 8 * run, word, true);
  }
}

/** Where a block in a GGUF has the bits of weight `index`. */
function placeOf(index: number): {
  readonly lowByte: number;
  readonly lowShift: number;
  readonly highByte: number;
  readonly highShift: number;
} {
  const half = index >> 7;
  const run = (index >> 5) & 3;
  const place = index & 31;
  return {
    lowByte: 64 * half + 32 * (run & 1) + place,
    lowShift: 4 * (run >> 1),
    highByte: HIGH + 32 * half + place,
    highShift: 2 * run,
  };
}

/** Scales are rounded up, so that 31 steps on either side of 0 cover a group's weights. */
function encodeBlock(values: Float32Array, block: Uint8Array): void {
  const steps = Array.from({ length: GROUPS }, (_, group) => {
    const weights = values.subarray(group * GROUP_WEIGHTS, (group + 1) * GROUP_WEIGHTS);
    return Math.max(...weights.map(Math.abs)) / MAX_QUANT;
  });
  const dBits = f32ToF16Up(Math.max(...steps) / MAX_SCALE);
  const d = f16ToF32(dBits);
  const scales = steps.map((step) => (d === 0 ? 0 : Math.min(MAX_SCALE, Math.ceil(step / d))));

  viewOf(block).setUint16(D, dBits, true);
  block.set(scales, SCALES);
  values.forEach((value, i) => {
    const step = d * scales[Math.floor(i / GROUP_WEIGHTS)]!;
    const nearest = step === 0 ? 0 : Math.round(value / step);
    const quant = 32 + Math.min(MAX_QUANT, Math.max(-MAX_QUANT, nearest));
    const { lowByte, lowShift, highByte, highShift } = placeOf(i);
    block[lowByte] = block[lowByte]! | ((quant & 15) << lowShift);
    block[highByte] = block[highByte]! | ((quant >> 4) << highShift);
  });
}
