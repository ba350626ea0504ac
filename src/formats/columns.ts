import { viewOf } from "../numeric/bits.ts";
import { PLANE_ALIGNMENT, planPlanes, type WeightFormat } from "./format.ts";
import type { IntegerTarget } from "./integers.ts";
import { transposeBytes, transposeSquares, transposeWords } from "./transpose.ts";

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
  readonly quants: Int8Array;
  /** `[cols / groupWeights, rows]`; of a matrix stored by columns `[cols, rows / groupWeights]`. */
  readonly scales: Float32Array;
  /** As `scales`; undefined for formats without mins. */
  readonly mins: Float32Array | undefined;
  /** Weights that share a scale and a min: 16, 32 or 256. */
  readonly groupWeights: number;
}

/** A matrix of floats. A view on memory of the caller's. */
export interface FloatColumns {
  readonly kind: "floats";
  /** `[cols, rows]`. */
  readonly values: Float32Array;
}

/** A matrix by columns. */
export type Columns = IntegerColumns | FloatColumns;

/**
 * A tile is read by rows, then written as columns. Its rows are a line of most caches in bytes, so that each line of the
 * result is written at once; in columns it has a block of the widest formats; all of it stays in a core's first cache.
 */
const TILE_ROWS = 64;
const TILE_COLS = 256;
const tile = new Int32Array((TILE_ROWS * TILE_COLS) / 4);
/** Words of a row: four quants each, or a float. */
const TILE_STRIDE = TILE_COLS / 4;
const NO_MINS = new Float32Array(0);

/** Where the parts of a matrix lie, in bytes from its start. */
export interface ColumnsPlaces {
  /** Of the quants or floats: they come first. */
  readonly values: 0;
  /** Undefined for floats. */
  readonly scales: number | undefined;
  readonly mins: number | undefined;
  /** Of all: a multiple of 16. */
  readonly bytes: number;
}

/** Where the parts of a matrix by columns lie. */
export function placeColumns({ integers }: WeightFormat, [rows, cols]: MatrixShape): ColumnsPlaces {
  const weights = rows * cols;
  if (!integers) {
    return { values: 0, scales: undefined, mins: undefined, bytes: aligned(4 * weights) };
  }
  const perGroup = aligned((4 * weights) / integers.groupWeights);
  const scales = aligned(weights);
  const mins = integers.hasMins ? scales + perGroup : undefined;
  return { values: 0, scales, mins, bytes: (mins ?? scales) + perGroup };
}

/** Bytes that a matrix takes by columns: a multiple of 16. */
export function columnsBytes(format: WeightFormat, shape: MatrixShape): number {
  return placeColumns(format, shape).bytes;
}

/** The views of a matrix that starts at `byteOffset` of `memory`: a multiple of 16 in its buffer. */
export function viewColumns(
  format: WeightFormat,
  [rows, cols]: MatrixShape,
  { buffer, byteOffset: origin }: Uint8Array,
  byteOffset: number,
): Columns {
  const weights = rows * cols;
  const start = origin + byteOffset;
  const { scales, mins } = placeColumns(format, [rows, cols]);
  if (scales === undefined) {
    return { kind: "floats", values: new Float32Array(buffer, start, weights) };
  }
  const { groupWeights } = format.integers!;
  const groups = (at: number) => new Float32Array(buffer, start + at, weights / groupWeights);
  return {
    kind: "integers",
    quants: new Int8Array(buffer, start, weights),
    scales: groups(scales),
    mins: mins === undefined ? undefined : groups(mins),
    groupWeights,
  };
}

/**
 * Writes a matrix that is stored by rows, `[rows, cols]`.
 * @param planes the matrix, as `planPlanes` lays it out
 * @param columns what {@link viewColumns} gives for the same format and shape
 */
export function writeColumns(
  format: WeightFormat,
  shape: MatrixShape,
  planes: Uint8Array,
  columns: Columns,
): void {
  if (columns.kind === "integers") writeIntegers(format, shape, planes, columns);
  else writeFloats(format, shape, planes, columns);
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
  const views = viewPlanes(format, weights, planes);
  if (columns.kind === "floats") {
    format.readFloats!(views[0]!, 0, weights, wordsOf(columns.values), 0);
    return;
  }
  const target = targetOf(columns, wordsOf(columns.quants), 1);
  format.integers!.read(views, 0, weights / format.blockWeights, target);
}

function writeIntegers(
  format: WeightFormat,
  [rows, cols]: MatrixShape,
  planes: Uint8Array,
  columns: IntegerColumns,
): void {
  const integers = format.integers!;
  const { blockWeights } = format;
  const views = viewPlanes(format, rows * cols, planes);
  const target = targetOf(columns, tile, rows);
  const { quants } = columns;
  const words = rows % 4 === 0 ? wordsOf(quants) : undefined;
  for (let row = 0; row < rows; row += TILE_ROWS) {
    const tileRows = Math.min(TILE_ROWS, rows - row);
    for (let col = 0; col < cols; col += TILE_COLS) {
      const tileCols = Math.min(TILE_COLS, cols - col);
      for (let r = 0; r < tileRows; r++) {
        target.word = r * TILE_STRIDE;
        target.group = (col / integers.groupWeights) * rows + row + r;
        const firstBlock = ((row + r) * cols + col) / blockWeights;
        integers.read(views, firstBlock, tileCols / blockWeights, target);
      }
      if (words) transposeSquares(tile, TILE_STRIDE, tileRows, tileCols, words, rows, row, col);
      else transposeBytes(tile, TILE_STRIDE, tileRows, tileCols, quants, rows, row, col);
    }
  }
}

function writeFloats(
  format: WeightFormat,
  [rows, cols]: MatrixShape,
  planes: Uint8Array,
  { values }: FloatColumns,
): void {
  const [plane] = viewPlanes(format, rows * cols, planes);
  const words = wordsOf(values);
  for (let row = 0; row < rows; row += TILE_ROWS) {
    const tileRows = Math.min(TILE_ROWS, rows - row);
    for (let col = 0; col < cols; col += TILE_STRIDE) {
      const tileCols = Math.min(TILE_STRIDE, cols - col);
      for (let r = 0; r < tileRows; r++) {
        const first = (row + r) * cols + col;
        format.readFloats!(plane!, first, tileCols, tile, r * TILE_STRIDE);
      }
      transposeWords(tile, TILE_STRIDE, tileRows, tileCols, words, rows, row, col);
    }
  }
}

/** Scales and mins go where they stay, quants to `quants`. */
function targetOf(
  { scales, mins }: IntegerColumns,
  quants: Int32Array,
  groupStride: number,
): IntegerTarget {
  return { quants, word: 0, scales, mins: mins ?? NO_MINS, group: 0, groupStride };
}

/** The memory of an array of whole words, a word at a time. */
function wordsOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength / 4);
}

function viewPlanes(format: WeightFormat, weights: number, planes: Uint8Array): DataView[] {
  const blocks = weights / format.blockWeights;
  const { offsets } = planPlanes(format, weights);
  return format.planeBlockBytes.map((blockBytes, plane) => {
    const offset = offsets[plane]!;
    return viewOf(planes.subarray(offset, offset + blocks * blockBytes));
  });
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / PLANE_ALIGNMENT) * PLANE_ALIGNMENT;
}
