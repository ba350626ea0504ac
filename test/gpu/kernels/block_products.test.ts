import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { repackMatrix, type WeightFormat } from "../../../src/formats/format.ts";
import { blockParts, weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { matmul, TILE_TOKENS } from "../../../src/kernels/matmul.ts";
import { matvec, NO_VECTOR } from "../../../src/kernels/matvec.ts";
import { matricesParts, rowDotsConstants, rowDotsParts } from "../../../src/kernels/parts.ts";
import { createRandom, normalArray, type Random } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { blockProductReference, offsetsOf } from "../../reference/kernels/block_products.ts";
import { plants, randomInput, someCols, variantCases } from "./cases.ts";
import { hasAllUnits, unitCases, unitNeeds } from "./units.ts";

const NUM_RUNS = runs(3);

const formats: readonly WeightFormat[] = Object.values(weightFormats);

/** Every unit and format with blocks of integers, with the variants in turn; as numbers, one for each length of block. */
const CASES = unitCases.flatMap((each) =>
  formats
    .filter(({ blockParts }) => blockParts)
    .filter(({ name }) => each.unit.integers || ["q4_0", "q4_k"].includes(name))
    .map((format, index) => {
      const { name, variant } = variantCases[index % variantCases.length]!;
      return { ...each, title: `${each.units}, ${format.name}, ${name}`, format, variant };
    }),
);

test.for(unitNeeds)("$units can be tried in this browser", ({ lacks }, { skip }) => {
  if (!hasAllUnits) skip(lacks !== undefined, `this adapter lacks what is called ${lacks}`);
  expect(lacks).toBeUndefined();
});

describe.for(CASES)("products of blocks, $title", ({ format, variant, unit, reference }) => {
  const { integers } = unit;

  kernelTest("agree with f64, in matvec and matmul bit for bit", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 3, 5, 13, 65),
      cols: fc.constantFrom(...someCols(format)),
      tokens: fc.integer({ min: 1, max: TILE_TOKENS + 1 }),
      plant: fc.constantFrom(...plants),
      scale: fc.constantFrom(1, -3),
      // Far beyond what f16 holds.
      size: fc.constantFrom(1, 1e-24, 1e24),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ rows, cols, tokens, plant, scale, size, seed }) => {
        const random = createRandom(seed);
        const matrix = randomBlocks(random, format, rows, cols);
        const sized = (numbers: Float32Array<ArrayBuffer>) => numbers.map((each) => each * size);
        const x = reference.pack(sized(randomInput(random, tokens * cols, plant)));
        const bias = sized(randomInput(random, rows));
        const residual = sized(randomInput(random, tokens * rows));
        const shared = {
          params: { cols, first_row: 0, all_rows: rows, has_residual: 1, scale, epsilon: 0 },
          buffers: { vectors: bias, residual, y: 4 * rows * tokens },
          control: { tokens },
        };

        const { y } = await run(matvec, {
          ...shared,
          params: { ...shared.params, ...alone(rows) },
          buffers: { x, ...shared.buffers },
          weights: matrix.packed,
          parts: [
            ...rowDotsParts(format, "a", { integers }),
            matricesParts[0],
            ...unit.parts,
            variant.matrix.reduce,
          ],
          constants: rowDotsConstants(variant.matrix),
        });
        const tiles = await run(matmul, {
          ...shared,
          params: { ...shared.params, rows, bias: 0 },
          buffers: { x: wholeTiles(x, tokens), ...shared.buffers },
          weights: matrix.packed,
          parts: [
            ...(integers ? blockParts(format) : weightParts(format)),
            ...unit.parts,
            variant.batch.reduce,
          ],
          constants: variant.batch.constants,
        });

        const options = { bias, scale, residual };
        expectWithin(y.floats, blockProductReference(matrix, reference.read(x), cols, options));
        expect(tiles.y.words).toEqual(y.words);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

/** Matvec's params of one matrix whose bias stands first. */
function alone(rows: number) {
  const none = { rows_b: 0, rows_c: 0, bias_b: NO_VECTOR, bias_c: NO_VECTOR };
  return { rows_a: rows, bias_a: 0, ...none };
}

/** A matrix in the GPU's layout, the numbers that it stands for, and the offsets of its blocks. */
function randomBlocks(random: Random, format: WeightFormat, rows: number, cols: number) {
  const blocks = format.encode(normalArray(random, rows * cols, 0.5));
  return {
    packed: repackMatrix(format, blocks),
    weights: format.decode(blocks),
    offsets: offsetsOf(format, blocks),
  };
}

/** `x` with room for whole tiles of tokens, which holds NaN. */
function wholeTiles(x: Uint32Array, tokens: number): Uint32Array {
  const all = new Uint32Array((x.length / tokens) * Math.ceil(tokens / TILE_TOKENS) * TILE_TOKENS);
  all.fill(0x7fc0_0000);
  all.set(x);
  return all;
}
