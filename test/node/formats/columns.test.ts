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

const GUARD_BYTES = 16;
const GUARD = 0xa5;

/** Weights of a matrix and its planes, which start at an odd address. */
function randomMatrix(format: WeightFormat, count: number, seed: number) {
  const blocks = format.encode(normalArray(createRandom(seed), count, 1));
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

/** The bits of f32, so that -0 is not 0. */
function bitsOf(weights: Float32Array): Uint32Array {
  return new Uint32Array(weights.slice().buffer);
}

describe.for(Object.values(weightFormats).filter((f) => f.integers || f.blockWeights === 1))(
  "$name",
  (format) => {
    const rowBlocks = Math.ceil(600 / format.blockWeights);
    const long = fc
      .integer({ min: 1, max: rowBlocks })
      .map((blocks) => blocks * format.blockWeights);
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
          expect(bitsOf(got)).toEqual(bitsOf(transposed));
          expectGuards();
        }),
        { numRuns: 60 },
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
          expect(bitsOf(got)).toEqual(bitsOf(weights));
          expectGuards();
        }),
        { numRuns: 30 },
      );
    });
  },
);
