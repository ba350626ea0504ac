import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planPlanes, repackMatrix, type WeightFormat } from "../../../src/formats/format.ts";
import type { IntegerForm } from "../../../src/formats/integers.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { viewOf } from "../../../src/numeric/bits.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";

const formats: readonly WeightFormat[] = Object.values(weightFormats);
const GUARD = 77;

/** Blocks `first` and on, read as whole numbers with their scales `stride` apart, and multiplied out. */
function weightsOf(format: WeightFormat, integers: IntegerForm, blocks: Uint8Array, run: Run) {
  const { firstBlock, count, stride } = run;
  const total = blocks.length / format.blockBytes;
  const { offsets } = planPlanes(format, total * format.blockWeights);
  const matrix = repackMatrix(format, blocks);
  const planes = format.planeBlockBytes.map((bytes, plane) => {
    // At an odd address.
    const copy = new Uint8Array(total * bytes + 1).subarray(1);
    copy.set(matrix.subarray(offsets[plane]!, offsets[plane]! + total * bytes));
    return viewOf(copy);
  });
  const words = (count * format.blockWeights) / 4;
  const groups = (count * format.blockWeights) / integers.groupWeights;
  const target = {
    quants: new Int32Array(words + 2).fill(GUARD),
    word: 1,
    scales: new Float32Array(groups * stride + 2).fill(GUARD),
    mins: new Float32Array(groups * stride + 2).fill(GUARD),
    group: 1,
    groupStride: stride,
  };

  integers.read(planes, firstBlock, count, target);

  const quants = new Int8Array(target.quants.buffer, 4, 4 * words);
  const weights = Float32Array.from(quants, (quant, i) => {
    const at = 1 + Math.floor(i / integers.groupWeights) * stride;
    return quant * target.scales[at]! - (integers.hasMins ? target.mins[at]! : 0);
  });
  return { weights, target, groups };
}

interface Run {
  readonly firstBlock: number;
  readonly count: number;
  readonly stride: number;
}

/** f32 as their bits, so that -0 is not 0. */
function bitsOf(weights: Float32Array): Uint32Array {
  return new Uint32Array(weights.slice().buffer);
}

test("every format of blocks has whole numbers, and no format of floats", () => {
  for (const { name, blockWeights, integers } of formats) {
    expect(integers !== undefined, name).toBe(blockWeights > 1);
  }
});

describe.for(formats.filter(({ integers }) => integers))("$name", (format) => {
  const integers = format.integers!;
  const noNumber = (block: Uint8Array) => format.decode(block).some(Number.isNaN);
  const anyBlock = fc
    .uint8Array({ minLength: format.blockBytes, maxLength: format.blockBytes })
    .filter((block) => !noNumber(block));
  const encodedBlock = fc
    .tuple(fc.nat(), fc.double({ min: -12, max: 8, noNaN: true }))
    .map(([seed, exponent]) =>
      format.encode(normalArray(createRandom(seed), format.blockWeights, 2 ** exponent)),
    );
  const someBlocks = fc
    .array(fc.oneof(anyBlock, encodedBlock), { minLength: 1, maxLength: 7 })
    .map((blocks) => Uint8Array.from(blocks.flatMap((bytes) => [...bytes])));

  test("whole numbers, scales and mins give the weights to the bit", () => {
    fc.assert(
      fc.property(someBlocks, fc.nat(), fc.nat(), fc.nat(3), (blocks, from, length, gap) => {
        const total = blocks.length / format.blockBytes;
        const firstBlock = from % total;
        const count = 1 + (length % (total - firstBlock));
        const start = firstBlock * format.blockWeights;

        const run = { firstBlock, count, stride: gap + 1 };
        const { weights } = weightsOf(format, integers, blocks, run);

        const wanted = format.decode(blocks).subarray(start, start + weights.length);
        expect(bitsOf(weights)).toEqual(bitsOf(wanted));
      }),
      { numRuns: runs(100) },
    );
  });

  test("writes nothing but the numbers of its blocks", () => {
    const blocks = format.encode(normalArray(createRandom(5), 3 * format.blockWeights, 1));

    const run = { firstBlock: 1, count: 2, stride: 2 };
    const { target, groups } = weightsOf(format, integers, blocks, run);

    expect([target.quants[0], target.quants.at(-1)]).toEqual([GUARD, GUARD]);
    for (const [numbers, written] of [
      [target.scales, true],
      [target.mins, integers.hasMins],
    ] as const) {
      const guards = numbers.filter((_, i) => !written || i % 2 === 0 || i > 2 * groups);
      expect(guards.every((number) => number === GUARD)).toBe(true);
    }
  });

  test("neighbouring groups have scales of their own", () => {
    const values = normalArray(createRandom(9), 2 * format.blockWeights, 1).map((value, i) =>
      Math.floor(i / integers.groupWeights) % 2 === 0 ? value : value / 4,
    );

    const run = { firstBlock: 0, count: 2, stride: 1 };
    const { target, groups } = weightsOf(format, integers, format.encode(values), run);

    const scales = target.scales.subarray(1, 1 + groups);
    expect(scales.slice(1).every((scale, i) => scale !== scales[i])).toBe(true);
  });
});
