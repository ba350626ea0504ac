import source from "../../shaders/formats/nvfp4.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import tables from "../../shaders/formats/shared/nibble_tables.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { groupsOf } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { E2M1_REACH, E2M1_TABLE, nearestIn } from "./nibble-tables.ts";
import { readFromTable } from "./quant-words.ts";

const SIZES = { blockWeights: 64, blockBytes: 36 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Weights that share a scale. */
const GROUP_WEIGHTS = 16;
const GROUPS = SIZES.blockWeights / GROUP_WEIGHTS;
/** Byte of a block at which its quants start; before it lie the scales, a byte each. */
const QUANTS = GROUPS;
const QUANT_BYTES = 32;
const nibbles = bitRuns(8, 4);
/** Would be NaN, and is 0. */
const NAN_SCALE = 0x7f;
const MAX_SCALE = 0x7e;
/** {@link halfUe4m3} of all bits. */
const HALF_SCALES = Float32Array.from({ length: 256 }, (_, bits) => halfUe4m3(bits));

/**
 * 64 weights of 4-bit floats in 4 groups, each with a scale: an unsigned float of 8 bits, of which the highest is not
 * looked at but to tell 0xff from NaN.
 *
 * A file's further scale for the whole tensor is a tensor of its own and no part of this.
 *
 * Source: ggml block_nvfp4, ggml_ue4m3_to_fp32.
 */
export const nvfp4: WeightFormat = {
  name: "nvfp4",
  ggmlType: 40,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, QUANTS],
  parts: [source, bytes, quants, tables],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, scales] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      nibbles.repack(from, start + QUANTS, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      scales.setUint32(block * QUANTS, from.getUint32(start, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      for (let i = 0; i < weights.length; i++) {
        const scale = halfUe4m3(block.getUint8(Math.floor(i / GROUP_WEIGHTS)));
        weights[i] = E2M1_TABLE[nibbles.get(block, QUANTS, i)]! * scale;
      }
    }),

  integers: {
    groupWeights: GROUP_WEIGHTS,
    hasMins: false,
    read([quants, scaleBits], first, blocks, target) {
      readFromTable(quants!, E2M1_TABLE, QUADS * first, QUADS * blocks, target);
      const { scales, group, groupStride } = target;
      for (let i = 0; i < GROUPS * blocks; i++) {
        scales[group + i * groupStride] = HALF_SCALES[scaleBits!.getUint8(GROUPS * first + i)]!;
      }
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      groupsOf(values, GROUP_WEIGHTS).forEach((group, index) => {
        const bits = scaleOver(Math.max(...group.map(Math.abs)) / E2M1_REACH);
        block.setUint8(index, bits);
        group.forEach((value, i) => {
          const quant = nearestIn(E2M1_TABLE, halfUe4m3(bits), value);
          nibbles.put(block, QUANTS, index * GROUP_WEIGHTS + i, quant);
        });
      });
    }),
};

/** Half of what the bits of a scale stand for, since the table's numbers are doubled. */
function halfUe4m3(bits: number): number {
  if (bits === NAN_SCALE) return 0;
  const exponent = (bits >> 3) & 15;
  const fraction = bits & 7;
  return exponent === 0 ? fraction * 2 ** -10 : (8 + fraction) * 2 ** (exponent - 11);
}

/** The bits of the least scale whose half reaches `value`, or of the largest. */
function scaleOver(value: number): number {
  let bits = 0;
  while (bits < MAX_SCALE && halfUe4m3(bits) < value) bits++;
  return bits;
}
