import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import source from "../../shaders/formats/tq1_0.wgsl?raw";
import { copyWords, viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitTernary } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScales } from "./half-scales.ts";
import type { IntegerTarget } from "./integers.ts";
import { lessBy } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 54 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Bytes of a block: the digits from 0 on, and d, f16. */
const DIGIT_BYTES = 52;
const D = DIGIT_BYTES;
/** Runs of bytes: digit `n` of all bytes of a run comes before digit `n + 1` of any. */
const RUNS = [
  { firstByte: 0, bytes: 32, digits: 5 },
  { firstByte: 32, bytes: 16, digits: 5 },
  { firstByte: 48, bytes: 4, digits: 4 },
] as const;
/** Where the digit of each weight is. */
const PLACES = RUNS.flatMap(({ firstByte, bytes, digits }) =>
  Array.from({ length: bytes * digits }, (_, i) => ({
    byte: firstByte + (i % bytes),
    digit: Math.floor(i / bytes),
  })),
);

/** Of each quad, the byte of its first digit, and 3 to the power of the digit's place. */
const QUAD_BYTES = Uint8Array.from({ length: QUADS }, (_, quad) => PLACES[4 * quad]!.byte);
const QUAD_POWERS = Uint8Array.from({ length: QUADS }, (_, quad) => 3 ** PLACES[4 * quad]!.digit);
const EVEN_BYTES = 0x00ff_00ff;

/**
 * 256 weights that are -d, 0 or d. A byte holds 5 ternary digits (the last 4 bytes: 4, and a 0): as a fraction of 256 it
 * is 0.digits in base 3, rounded up.
 *
 * Source: ggml block_tq1_0, dequantize_row_tq1_0.
 */
export const tq1_0: WeightFormat = {
  name: "tq1_0",
  ggmlType: 34,
  ...SIZES,
  planeBlockBytes: [DIGIT_BYTES, 2],
  parts: [source, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [digits, ds] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      copyWords(from, start, digits, block * DIGIT_BYTES, DIGIT_BYTES);
      ds.setUint16(2 * block, from.getUint16(start + D, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const d = f16ToF32(block.getUint16(D, true));
      PLACES.forEach(({ byte, digit }, i) => {
        const rest = (block.getUint8(byte) * 3 ** digit) & 255;
        weights[i] = (((rest * 3) >> 8) - 1) * d;
      });
    }),

  integers: {
    groupWeights: 256,
    hasMins: false,
    read([digits, ds], first, blocks, target) {
      readDigits(digits!, first, blocks, target);
      readHalfScales(ds!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const { scale, quants } = fitTernary(values);
      const numbers = new Uint8Array(DIGIT_BYTES);
      PLACES.forEach(({ byte, digit }, i) => {
        numbers[byte]! += quants[i]! * 3 ** (4 - digit);
      });
      numbers.forEach((number, byte) => {
        block.setUint8(byte, Math.ceil((number * 256) / 3 ** 5));
      });
      block.setUint16(D, f32ToF16(scale), true);
    }),
};

function readDigits(
  plane: DataView,
  first: number,
  blocks: number,
  { quants, word }: IntegerTarget,
): void {
  const { shift, flip } = lessBy(1);
  let at = word;
  for (let block = first; block < first + blocks; block++) {
    for (let quad = 0; quad < QUADS; quad++) {
      const bytes = plane.getInt32(DIGIT_BYTES * block + QUAD_BYTES[quad]!, true);
      const power = QUAD_POWERS[quad]!;
      const even = digitsOf(bytes & EVEN_BYTES, power);
      const odd = digitsOf((bytes >>> 8) & EVEN_BYTES, power);
      quants[at++] = ((even | (odd << 8)) + shift) ^ flip;
    }
  }
}

/** The digits of two numbers, each in the lower byte of a half of a word; `power` is 3 to the digit's place. */
function digitsOf(numbers: number, power: number): number {
  const rest = Math.imul(numbers, power) & EVEN_BYTES;
  return ((3 * rest) >>> 8) & EVEN_BYTES;
}
