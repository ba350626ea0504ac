import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Columns,
  columnsBytes,
  type MatrixShape,
  viewColumns,
  writeColumns,
  writeStoredColumns,
} from "../../../src/formats/columns.ts";
import { repackMatrix, type WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";

/** Different blocks in a matrix. */
const BLOCKS = 24;
const GUARD_BYTES = 16;
const GUARD = 0xa5;

/** Weights of a matrix, of a few blocks in random order, and its planes, which start at an odd address. */
function randomMatrix(format: WeightFormat, count: number, seed: number) {
  const { blockWeights, blockBytes } = format;
  const random = createRandom(seed);
  const some = format.encode(normalArray(random, BLOCKS * blockWeights, 1));
  const blocks = new Uint8Array((count / blockWeights) * blockBytes);
  for (let at = 0; at < blocks.length; at += blockBytes) {
    const start = random.integer(BLOCKS) * blockBytes;
    blocks.set(some.subarray(start, start + blockBytes), at);
  }
  const packed = repackMatrix(format, blocks);
  const planes = new Uint8Array(packed.length + 1).subarray(1);
  planes.set(packed);
  return { weights: format.decode(blocks), planes };
}

/** Columns in memory that is filled with a pattern, and a check that what lies around them still has it. */
function guardedColumns(format: WeightFormat, shape: MatrixShape) {
  const bytes = columnsBytes(format, shape);
  const buffer = new Uint8Array(bytes + 4 * GUARD_BYTES).fill(GUARD);
  const memory = buffer.subarray(GUARD_BYTES);
  const columns = viewColumns(format, shape, memory, GUARD_BYTES);
  const start = 2 * GUARD_BYTES;
  return {
    columns,
    expectGuards() {
      expect(bytes % 16).toBe(0);
      for (const around of [buffer.subarray(0, start), buffer.subarray(start + bytes)]) {
        expect(around.every((byte) => byte === GUARD)).toBe(true);
      }
    },
  };
}

/** The weights `[cols, rows]` that columns stand for; `groupOf` says which scale one has. */
function weightsOf(columns: Columns, groupOf: (index: number) => number): Float32Array {
  if (columns.kind === "floats") return columns.values;
  const { quants, scales, mins } = columns;
  return Float32Array.from(quants, (quant, index) => {
    const group = groupOf(index);
    return quant * scales[group]! - (mins?.[group] ?? 0);
  });
}

/** Where two arrays differ first, -0 from 0 too; -1 if they don't. `toEqual` takes seconds for as many numbers. */
function firstDifference(got: Float32Array, wanted: Float32Array): number {
  expect(got.length).toBe(wanted.length);
  return got.findIndex((value, i) => !Object.is(value, wanted[i]));
}

describe.for(Object.values(weightFormats))("$name", (format) => {
  const rowBlocks = Math.ceil(600 / format.blockWeights);
  const long = fc.integer({ min: 1, max: rowBlocks }).map((blocks) => blocks * format.blockWeights);
  const short = fc.oneof(
    fc.integer({ min: 1, max: 140 }),
    fc.constantFrom(4, 63, 64, 65, 66, 68, 128, 132),
  );

  test("columns of a matrix stored by rows have its weights, transposed", () => {
    fc.assert(
      fc.property(short, long, fc.nat(), (rows, cols, seed) => {
        const { weights, planes } = randomMatrix(format, rows * cols, seed);
        const { columns, expectGuards } = guardedColumns(format, [rows, cols]);

        writeColumns(format, [rows, cols], planes, columns);

        const groupWeights = columns.kind === "integers" ? columns.groupWeights : 1;
        const got = weightsOf(columns, (index) => {
          const col = Math.floor(index / rows);
          return Math.floor(col / groupWeights) * rows + (index % rows);
        });
        const transposed = weights.map(
          (_, i) => weights[(i % rows) * cols + Math.floor(i / rows)]!,
        );
        expect(firstDifference(got, transposed)).toBe(-1);
        expectGuards();
      }),
      { numRuns: runs(25) },
    );
  });

  test("columns of a matrix stored by columns have its weights in order", () => {
    fc.assert(
      fc.property(long, short, fc.nat(), (rows, cols, seed) => {
        const { weights, planes } = randomMatrix(format, rows * cols, seed);
        const { columns, expectGuards } = guardedColumns(format, [rows, cols]);

        writeStoredColumns(format, [rows, cols], planes, columns);

        const groupWeights = columns.kind === "integers" ? columns.groupWeights : 1;
        const got = weightsOf(columns, (index) => Math.floor(index / groupWeights));
        expect(firstDifference(got, weights)).toBe(-1);
        expectGuards();
      }),
      { numRuns: runs(10) },
    );
  });
});
