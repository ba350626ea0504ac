import source from "../../shaders/formats/q4_k.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import { splitNibbles, viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16Up } from "../numeric/f16.ts";
import type { WeightFormat } from "./format.ts";

const BLOCK_WEIGHTS = 256;
const BLOCK_BYTES = 144;
/** Weights that share a scale and a min. */
const GROUP_WEIGHTS = 32;
const GROUPS = BLOCK_WEIGHTS / GROUP_WEIGHTS;
/** Bytes of a block: d and dmin, f16, from 0 on; then the scales and mins, 6 bits each; then the quants. */
const DMIN = 2;
const SCALES = 4;
const QUANTS = 16;
const QUANT_BYTES = 128;
const MAX_SCALE = 63;
const MAX_QUANT = 15;

/**
 * 256 weights of 4 bits in 8 groups, each with a scale and a min that are multiples of the block's.
 * Each 32 bytes of quants hold a group in their low halves and the next group in their high halves.
 *
 * Source: ggml block_q4_K, get_scale_min_k4.
 */
export const q4_k: WeightFormat = {
  name: "q4_k",
  ggmlType: 12,
  blockWeights: BLOCK_WEIGHTS,
  blockBytes: BLOCK_BYTES,
  planeBlockBytes: [QUANT_BYTES, QUANTS],
  parts: [source, half],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const quants = viewOf(planes[0]!);
    const scales = viewOf(planes[1]!);
    const count = blocks.byteLength / BLOCK_BYTES;
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      for (let byte = 0; byte < QUANTS; byte += 4) {
        scales.setUint32(block * QUANTS + byte, from.getUint32(start + byte, true), true);
      }
      for (let byte = 0; byte < QUANT_BYTES; byte += 8) {
        const to = block * QUANT_BYTES + (byte & ~31) + ((byte & 31) >> 1);
        splitNibbles(from, start + QUANTS + byte, quants, to, to + 16);
      }
    }
  },

  decode(blocks) {
    const from = viewOf(blocks);
    const count = blocks.byteLength / BLOCK_BYTES;
    const weights = new Float32Array(count * BLOCK_WEIGHTS);
    for (let block = 0; block < count; block++) {
      const start = block * BLOCK_BYTES;
      const d = f16ToF32(from.getUint16(start, true));
      const dmin = f16ToF32(from.getUint16(start + DMIN, true));
      for (let group = 0; group < GROUPS; group++) {
        // Both products are exact in f32, and their difference in f64: the store rounds once, as a GPU does with
        // or without a fused multiply-add.
        const scale = d * groupScale(from, start + SCALES, group);
        const min = dmin * groupMin(from, start + SCALES, group);
        const to = block * BLOCK_WEIGHTS + group * GROUP_WEIGHTS;
        const quants = start + QUANTS + (group >> 1) * GROUP_WEIGHTS;
        const shift = 4 * (group & 1);
        for (let i = 0; i < GROUP_WEIGHTS; i++) {
          weights[to + i] = ((from.getUint8(quants + i) >> shift) & 15) * scale - min;
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

/** The scale of a group. Groups 4 to 7 keep their high 2 bits above those of groups 0 to 3. */
function groupScale(view: DataView, scales: number, group: number): number {
  if (group < 4) return view.getUint8(scales + group) & 63;
  return (view.getUint8(scales + group + 4) & 15) | ((view.getUint8(scales + group - 4) >> 6) << 4);
}

function groupMin(view: DataView, scales: number, group: number): number {
  if (group < 4) return view.getUint8(scales + group + 4) & 63;
  return (view.getUint8(scales + group + 4) >> 4) | ((view.getUint8(scales + group) >> 6) << 4);
}

/** Scales and mins are rounded away from 0, so that the 16 steps of a group cover its weights. */
function encodeBlock(values: Float32Array, block: Uint8Array): void {
  const groups = Array.from({ length: GROUPS }, (_, group) =>
    values.subarray(group * GROUP_WEIGHTS, (group + 1) * GROUP_WEIGHTS),
  );
  const depths = groups.map((group) => Math.max(0, -Math.min(...group)));
  const dminBits = f32ToF16Up(Math.max(...depths) / MAX_SCALE);
  const dmin = f16ToF32(dminBits);
  const mins = depths.map((depth) => multiplesOver(depth, dmin));

  const steps = groups.map(
    (group, i) => Math.max(0, Math.max(...group) + mins[i]! * dmin) / MAX_QUANT,
  );
  const dBits = f32ToF16Up(Math.max(...steps) / MAX_SCALE);
  const d = f16ToF32(dBits);
  const scales = steps.map((step) => multiplesOver(step, d));

  const to = viewOf(block);
  to.setUint16(0, dBits, true);
  to.setUint16(DMIN, dminBits, true);
  for (let i = 0; i < 4; i++) {
    block[SCALES + i] = scales[i]! | ((scales[i + 4]! >> 4) << 6);
    block[SCALES + i + 4] = mins[i]! | ((mins[i + 4]! >> 4) << 6);
    block[SCALES + i + 8] = (scales[i + 4]! & 15) | ((mins[i + 4]! & 15) << 4);
  }
  groups.forEach((group, g) => {
    const step = d * scales[g]!;
    const shift = 4 * (g & 1);
    group.forEach((value, i) => {
      const quant = step === 0 ? 0 : Math.round((value + dmin * mins[g]!) / step);
      const at = QUANTS + (g >> 1) * GROUP_WEIGHTS + i;
      block[at] = block[at]! | (Math.min(MAX_QUANT, Math.max(0, quant)) << shift);
    });
  });
}

/** The fewest whole `unit`s that reach `value`, at most 63. */
function multiplesOver(value: number, unit: number): number {
  return unit === 0 ? 0 : Math.min(MAX_SCALE, Math.ceil(value / unit));
}
