import { planPlanes, type WeightFormat } from "../formats/format.ts";

/** Rows of a matrix that lie in one buffer. */
export interface RowRange {
  readonly firstRow: number;
  readonly rows: number;
}

/**
 * Cuts a matrix `[rows, cols]` into parts that take at most `limitBytes` each on the GPU, as few and as even as can be.
 * A row is never cut: where one exceeds the limit, every part is one row and exceeds it too.
 */
export function planRowParts(
  format: WeightFormat,
  [rows, cols]: readonly [number, number],
  limitBytes: number,
): readonly RowRange[] {
  const bytesOf = (count: number) => planPlanes(format, count * cols).bytes;
  let count = Math.max(1, Math.ceil(bytesOf(rows) / limitBytes));
  // Planes are padded in each part, so that there may have to be a part more.
  while (count < rows && bytesOf(Math.ceil(rows / count)) > limitBytes) count++;
  const each = Math.ceil(rows / Math.min(count, rows));
  const parts: RowRange[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += each) {
    parts.push({ firstRow, rows: Math.min(each, rows - firstRow) });
  }
  return parts;
}
