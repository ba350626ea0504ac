import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planPlanes, repackMatrix } from "../../../src/formats/format.ts";
import {
  formatOfGgmlType,
  type WeightFormatName,
  weightFormats,
} from "../../../src/formats/registry.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import golden from "./golden.json";

interface Vectors {
  readonly blocks: string;
  readonly weights: string;
}

const vectors: Record<string, { readonly decode: Vectors; readonly encode?: Vectors } | undefined> =
  golden;
const formats = Object.values(weightFormats);
const withQuantiser = formats.filter((format) => vectors[format.name]?.encode !== undefined);

/** Relative errors of rounding to f16, bf16 and f32. */
const F16 = 2 ** -11;
const BF16 = 2 ** -8;
const F32 = 2 ** -24;
/** The smallest f16: a scale can't be nearer to what it should be than half of it. */
const F16_STEP = 2 ** -24;

/** The largest error of a weight in a block whose farthest weight from 0 is `top` and whose weights span `range`, 0 in it. */
type ErrorBound = (top: number, range: number) => number;

/** A scale and a min to the nearest f16 and half a step; the quants are chosen in f32, by five roundings. */
function ranged(maxQuant: number): ErrorBound {
  return (top, range) =>
    (0.5 / maxQuant + F16 + 5 * F32) * range + F16 * top + ((maxQuant + 1) / 2) * F16_STEP;
}

/** A whole step where the weight lies opposite to the farthest one: on that side there is one quant less. */
function fromFarthest(zero: number): ErrorBound {
  return (top) => (1 / zero + F16) * top + zero * F16_STEP;
}

/** Half a step, made wider by min and scale, each rounded up by at most one multiple of `maxScale`, in f16. */
function affine(maxQuant: number, maxScale: number): ErrorBound {
  return (_, range) =>
    (0.5 / maxQuant) * (1 + 1 / maxScale) ** 2 * (1 + 4 * F16) * range + 8 * F16_STEP;
}

/**
 * `halfGap` of `reach` steps that cover the farthest weight, made wider by the scale, rounded up by at most one multiple
 * of `maxScale`, in f16.
 */
function symmetric(halfGap: number, reach: number, maxScale: number): ErrorBound {
  return (top) =>
    (halfGap / reach) * (1 + 1 / maxScale) * (1 + 4 * F16) * top + 2 * halfGap * F16_STEP;
}

/** Half the widest gap in the tables: of IQ4 from 89 to 113, of doubled 4-bit floats from 8 to 12. */
const IQ4_HALF_GAP = 12;
const E2M1_HALF_GAP = 2;

const errorBounds: Record<WeightFormatName, ErrorBound> = {
  f32: () => 0,
  f16: (top) => F16 * top + F16_STEP / 2,
  bf16: (top) => BF16 * top,
  // Half a step, and the scale's own rounding times the largest quant.
  q8_0: (top) => (1 / 127 / 2 + F16) * top + 127 * F16_STEP,
  q5_1: ranged(31),
  q5_0: fromFarthest(16),
  q4_1: ranged(15),
  q4_0: fromFarthest(8),
  q6_k: symmetric(0.5, 31, 127),
  q5_k: affine(31, 63),
  q4_k: affine(15, 63),
  q3_k: symmetric(0.5, 3, 31),
  q2_k: affine(3, 15),
  iq4_xs: symmetric(IQ4_HALF_GAP, 113, 31),
  // Its one scale is rounded up in f16 alone.
  iq4_nl: symmetric(IQ4_HALF_GAP, 113, Infinity),
  // The scale is the power of two that brings the farthest weight to [8, 16), so it may lie 4 above the table's end at
  // 12: a quarter of it. Nearer to 0 the widest gap is 4, and half of it a quarter of 8.
  mxfp4: (top) => top / 4,
  // The scale is rounded up to 3 bits of fraction, or to a multiple of 2^-10 where it is subnormal.
  nvfp4: (top) => E2M1_HALF_GAP * ((top / 12) * (1 + 1 / 8) + 2 ** -10),
  // Half a step, one step being the farthest weight.
  tq2_0: (top) => (1 / 2 + F16 + 2 * F32) * top + F16_STEP,
  tq1_0: (top) => (1 / 2 + F16 + 2 * F32) * top + F16_STEP,
};

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** `bytes`, starting at an odd address. */
function misaligned(bytes: Uint8Array): Uint8Array {
  const moved = new Uint8Array(bytes.length + 3).subarray(3);
  moved.set(bytes);
  return moved;
}

/** Two arrays of f32 as their bits, so that -0 is not 0. */
function bitsOf(weights: Float32Array): Uint32Array {
  return new Uint32Array(weights.slice().buffer);
}

describe.for(formats)("$name", (format) => {
  const block = fc.uint8Array({ minLength: format.blockBytes, maxLength: format.blockBytes });
  const someBlocks = fc
    .array(block, { minLength: 1, maxLength: 9 })
    .map((blocks) => Uint8Array.from(blocks.flatMap((bytes) => [...bytes])));

  test("decodes to the bits that gguf-py gives", () => {
    const vector = vectors[format.name];
    expect(vector, "run tools/golden/make_format_vectors.py with this format").toBeDefined();

    const weights = format.decode(misaligned(bytesOf(vector!.decode.blocks)));

    expect(bitsOf(weights)).toEqual(new Uint32Array(bytesOf(vector!.decode.weights).buffer));
  });

  test("says the weights and bytes of its blocks", () => {
    const { decode } = vectors[format.name]!;
    const blocks = bytesOf(decode.blocks).length / format.blockBytes;

    expect(blocks * format.blockWeights).toBe(bytesOf(decode.weights).length / 4);
    expect(formatOfGgmlType(format.ggmlType)).toBe(format);
  });

  test("repacks any run of blocks by itself, at any address", () => {
    fc.assert(
      fc.property(someBlocks, fc.nat(), (blocks, cutSeed) => {
        const count = blocks.length / format.blockBytes;
        const cut = cutSeed % (count + 1);
        const { offsets, bytes } = planPlanes(format, count * format.blockWeights);
        const pieces = new Uint8Array(bytes + 1).subarray(1);

        for (const [first, end] of [
          [cut, count],
          [0, cut],
        ] as const) {
          const planes = format.planeBlockBytes.map((blockBytes, plane) =>
            pieces.subarray(
              offsets[plane]! + first * blockBytes,
              offsets[plane]! + end * blockBytes,
            ),
          );
          const run = blocks.subarray(first * format.blockBytes, end * format.blockBytes);
          format.repack(misaligned(run), planes);
        }

        expect(pieces).toEqual(repackMatrix(format, blocks));
      }),
      { numRuns: runs(100) },
    );
  });

  test("keeps every bit of a block when it repacks", () => {
    fc.assert(
      fc.property(block, fc.nat(8 * format.blockBytes - 1), (bytes, bit) => {
        const other = bytes.slice();
        other[bit >> 3]! ^= 1 << (bit & 7);

        expect(repackMatrix(format, other)).not.toEqual(repackMatrix(format, bytes));
      }),
      { numRuns: runs(100) },
    );
  });

  test("encodes to blocks that decode to near the weights", () => {
    const planted = fc.constantFrom(0, 1, -1, 2 ** -20, -(2 ** -30));
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 3 }),
        fc.double({ min: -12, max: 8, noNaN: true }),
        fc.array(planted, { maxLength: 4 }),
        (seed, blocks, exponent, extremes) => {
          const random = createRandom(seed);
          const weights = normalArray(random, blocks * format.blockWeights, 2 ** exponent);
          for (const extreme of extremes) weights[random.integer(weights.length)] = extreme;
          weights.fill(0, 0, random.integer(2) * format.blockWeights);

          const decoded = format.decode(format.encode(weights));

          for (let first = 0; first < weights.length; first += format.blockWeights) {
            const values = weights.subarray(first, first + format.blockWeights);
            const high = Math.max(0, ...values);
            const low = Math.min(0, ...values);
            const bound = errorBounds[format.name as WeightFormatName](
              Math.max(high, -low),
              high - low,
            );
            const error = Math.max(
              ...values.map((value, i) => Math.abs(value - decoded[first + i]!)),
            );
            expect(error).toBeLessThanOrEqual(bound);
          }
        },
      ),
      { numRuns: runs(100) },
    );
  });
});

test.for(withQuantiser)("$name encodes to the bytes that gguf-py gives", (format) => {
  const { weights, blocks } = vectors[format.name]!.encode!;

  const encoded = format.encode(new Float32Array(bytesOf(weights).buffer));

  expect(encoded).toEqual(bytesOf(blocks));
});
