import { viewOf } from "../numeric/bits.ts";
import { PLANE_ALIGNMENT, planPlanes, type WeightFormat } from "./format.ts";
import type { IntegerForm, IntegerTarget } from "./integers.ts";
import { transposeBytes } from "./transpose.ts";

/*
 * Matrices as onnxruntime-web multiplies by them: of `y = W x`, W being `[rows, cols]`, the columns one behind the other,
 * that is `[cols, rows]`; whole numbers of 8 bits apart from the scales and mins of groups, or floats.
 */

/** Of `y = W x`: y has `rows` numbers, x has `cols`. */
export type MatrixShape = readonly [rows: number, cols: number];

/** A matrix of whole numbers: `weight = quant * scale - min`. Views on memory of the caller's. */
export interface IntegerColumns {
  readonly kind: "integers";
  /** `[cols, rows]`. */
  readonly quants: Int8Array<ArrayBuffer>;
  /** `[cols / groupWeights, rows]`; of a matrix stored by columns `[cols, rows / groupWeights]`. */
  readonly scales: Float32Array<ArrayBuffer>;
  /** As `scales`; undefined for formats without mins. */
  readonly mins: Float32Array<ArrayBuffer> | undefined;
  /** Weights that share a scale and a min: 16, 32 or 256. */
  readonly groupWeights: number;
}

/** A matrix of floats. A view on memory of the caller's. */
export interface FloatColumns {
  readonly kind: "floats";
  /** `[cols, rows]`. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** A matrix by columns. */
export type Columns = IntegerColumns | FloatColumns;

/**
 * A tile of rows is read, then written as columns. Its rows are a line of most caches in bytes, so that each line of the
 * result is written at once; its columns a block of the widest formats; and all of it stays in a core's first cache.
 */
const TILE_ROWS = 64;
const TILE_COLS = 256;
const tile = new Int32Array((TILE_ROWS * TILE_COLS) / 4);
const NONE = new Float32Array(0);

/** Bytes that a matrix takes by columns: a multiple of 16. */
export function columnsBytes({ integers }: WeightFormat, [rows, cols]: MatrixShape): number {
  const weights = rows * cols;
  if (!integers) return aligned(4 * weights);
  const perGroup = aligned((4 * weights) / integers.groupWeights);
  return aligned(weights) + perGroup * (integers.hasMins ? 2 : 1);
}

/** The views of a matrix whose {@link columnsBytes} start at `byteOffset` of `memory`: a multiple of 16 in its buffer. */
export function viewColumns(
  { integers }: WeightFormat,
  [rows, cols]: MatrixShape,
  memory: Uint8Array<ArrayBuffer>,
  byteOffset: number,
): Columns {
  const weights = rows * cols;
  const start = memory.byteOffset + byteOffset;
  if (!integers) {
    return { kind: "floats", values: new Float32Array(memory.buffer, start, weights) };
  }
  const groups = weights / integers.groupWeights;
  const scales = start + aligned(weights);
  const mins = scales + aligned(4 * groups);
  return {
    kind: "integers",
    quants: new Int8Array(memory.buffer, start, weights),
    scales: new Float32Array(memory.buffer, scales, groups),
    mins: integers.hasMins ? new Float32Array(memory.buffer, mins, groups) : undefined,
    groupWeights: integers.groupWeights,
  };
}

/**
 * Writes a matrix that is stored by rows, `[rows, cols]`.
 * @param planes the matrix, as `planPlanes` lays it out
 * @param columns what {@link viewColumns} gives for the same format and shape
 */
export function writeColumns(
  format: WeightFormat,
  [rows, cols]: MatrixShape,
  planes: Uint8Array,
  columns: Columns,
): void {
  if (columns.kind === "floats") {
    writeFloats(format, [rows, cols], planes, columns.values);
    return;
  }
  const integers = integersOf(format);
  const views = viewPlanes(format, rows * cols, planes);
  const target = targetOf(columns, tile, rows);
  for (let row = 0; row < rows; row += TILE_ROWS) {
    const tileRows = Math.min(TILE_ROWS, rows - row);
    for (let col = 0; col < cols; col += TILE_COLS) {
      const tileCols = Math.min(TILE_COLS, cols - col);
      for (let r = 0; r < tileRows; r++) {
        const weight = (row + r) * cols + col;
        target.word = (r * TILE_COLS) / 4;
        target.group = (col / integers.groupWeights) * rows + row + r;
        integers.read(views, weight / format.blockWeights, tileCols / format.blockWeights, target);
      }
      const stride = TILE_COLS / 4;
      transposeBytes(tile, stride, tileRows, tileCols, columns.quants, rows, row, col);
    }
  }
}

/**
 * Writes a matrix that is stored by columns already, `[cols, rows]`: its groups run along `rows`.
 * @param planes the matrix, as `planPlanes` lays it out
 * @param columns what {@link viewColumns} gives for the same format and shape
 */
export function writeStoredColumns(
  format: WeightFormat,
  [rows, cols]: MatrixShape,
  planes: Uint8Array,
  columns: Columns,
): void {
  const weights = rows * cols;
  if (columns.kind === "floats") {
    columns.values.set(format.decode(floatBytes(format, planes, 0, weights)));
    return;
  }
  const { buffer, byteOffset } = columns.quants;
  const target = targetOf(columns, new Int32Array(buffer, byteOffset, weights / 4), 1);
  const views = viewPlanes(format, weights, planes);
  integersOf(format).read(views, 0, weights / format.blockWeights, target);
}

/** Rows that are decoded at a time, for formats of floats. */
const FLOAT_ROWS = 16;

function writeFloats(
  format: WeightFormat,
  [rows, cols]: MatrixShape,
  planes: Uint8Array,
  values: Float32Array,
): void {
  for (let row = 0; row < rows; row += FLOAT_ROWS) {
    const tileRows = Math.min(FLOAT_ROWS, rows - row);
    const decoded = format.decode(floatBytes(format, planes, row * cols, tileRows * cols));
    for (let col = 0; col < cols; col++) {
      const at = col * rows + row;
      for (let r = 0; r < tileRows; r++) values[at + r] = decoded[r * cols + col]!;
    }
  }
}

/** The bytes of `count` floats: in planes they are as in a file. */
function floatBytes(
  { blockBytes }: WeightFormat,
  planes: Uint8Array,
  first: number,
  count: number,
): Uint8Array {
  return planes.subarray(first * blockBytes, (first + count) * blockBytes);
}

/** Scales and mins of a matrix, and the quants where they are wanted. */
function targetOf(
  { scales, mins }: IntegerColumns,
  quants: Int32Array,
  groupStride: number,
): IntegerTarget {
  return { quants, word: 0, scales, mins: mins ?? NONE, group: 0, groupStride };
}

function viewPlanes(format: WeightFormat, weights: number, planes: Uint8Array): DataView[] {
  const blocks = weights / format.blockWeights;
  const { offsets } = planPlanes(format, weights);
  return format.planeBlockBytes.map((blockBytes, plane) => {
    const offset = offsets[plane]!;
    return viewOf(planes.subarray(offset, offset + blocks * blockBytes));
  });
}

function integersOf({ name, integers }: WeightFormat): IntegerForm {
  if (!integers)
    throw new Error(`unreachable: ${name} has columns of whole numbers and no integers`);
  return integers;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / PLANE_ALIGNMENT) * PLANE_ALIGNMENT;
}
