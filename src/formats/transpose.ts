const EVEN_BYTES = 0x00ff_00ff;
const LOW_HALF = 0xffff;

/**
 * Writes rows of bytes, 4 a word, as columns.
 *
 * `to` has `[cols, toRows]` bytes; what is written are rows `firstRow` to `firstRow + rows - 1` of columns `firstCol` to
 * `firstCol + cols - 1`. `cols` is a multiple of 4.
 * @param from row `r` starts at word `r * fromStride`
 */
export function transposeBytes(
  from: Int32Array,
  fromStride: number,
  rows: number,
  cols: number,
  to: Int8Array,
  toRows: number,
  firstRow: number,
  firstCol: number,
): void {
  for (let row = 0; row < rows; row++) {
    let target = firstCol * toRows + firstRow + row;
    for (let quad = 0; quad < cols / 4; quad++) {
      const word = from[row * fromStride + quad]!;
      for (let shift = 0; shift < 32; shift += 8) {
        to[target] = word >> shift;
        target += toRows;
      }
    }
  }
}

/**
 * The same by squares of 4 x 4, a word of `to` at a time, in a quarter of the time: `rows`, `toRows` and `firstRow` are
 * multiples of 4 too.
 */
export function transposeSquares(
  from: Int32Array,
  fromStride: number,
  rows: number,
  cols: number,
  to: Int32Array,
  toRows: number,
  firstRow: number,
  firstCol: number,
): void {
  const toStride = toRows / 4;
  for (let col = 0; col < cols; col += 4) {
    let source = col / 4;
    let target = (firstCol + col) * toStride + firstRow / 4;
    for (let row = 0; row < rows; row += 4) {
      const a = from[source]!;
      const b = from[source + fromStride]!;
      const c = from[source + 2 * fromStride]!;
      const d = from[source + 3 * fromStride]!;
      // Columns 0 and 2 of rows a and b, a byte each in turn; then columns 1 and 3; then those of c and d.
      const evenAb = (a & EVEN_BYTES) | ((b & EVEN_BYTES) << 8);
      const oddAb = ((a >>> 8) & EVEN_BYTES) | (b & ~EVEN_BYTES);
      const evenCd = (c & EVEN_BYTES) | ((d & EVEN_BYTES) << 8);
      const oddCd = ((c >>> 8) & EVEN_BYTES) | (d & ~EVEN_BYTES);
      to[target] = (evenAb & LOW_HALF) | (evenCd << 16);
      to[target + toStride] = (oddAb & LOW_HALF) | (oddCd << 16);
      to[target + 2 * toStride] = (evenAb >>> 16) | (evenCd & ~LOW_HALF);
      to[target + 3 * toStride] = (oddAb >>> 16) | (oddCd & ~LOW_HALF);
      source += 4 * fromStride;
      target++;
    }
  }
}

/** The same of words: rows of `from` and `to` have one a column, and there may be any number. */
export function transposeWords(
  from: Int32Array,
  fromStride: number,
  rows: number,
  cols: number,
  to: Int32Array,
  toRows: number,
  firstRow: number,
  firstCol: number,
): void {
  for (let col = 0; col < cols; col++) {
    const target = (firstCol + col) * toRows + firstRow;
    for (let row = 0; row < rows; row++) to[target + row] = from[row * fromStride + col]!;
  }
}
