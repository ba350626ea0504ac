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
  to: Int8Array<ArrayBuffer>,
  toRows: number,
  firstRow: number,
  firstCol: number,
): void {
  let row = 0;
  if (toRows % 4 === 0) {
    const words = new Int32Array(to.buffer, to.byteOffset, to.length / 4);
    const stride = toRows / 4;
    row = rows - (rows % 4);
    transposeQuads(
      from,
      fromStride,
      row / 4,
      cols / 4,
      words,
      firstCol * stride + firstRow / 4,
      stride,
    );
  }
  for (; row < rows; row++) {
    let at = firstCol * toRows + firstRow + row;
    for (let quad = 0; quad < cols / 4; quad++) {
      const word = from[row * fromStride + quad]!;
      for (let shift = 0; shift < 32; shift += 8) {
        to[at] = word >> shift;
        at += toRows;
      }
    }
  }
}

/** Squares of 4 x 4 bytes: `colQuads` across, `rowQuads` down. */
function transposeQuads(
  from: Int32Array,
  fromStride: number,
  rowQuads: number,
  colQuads: number,
  to: Int32Array,
  firstWord: number,
  toStride: number,
): void {
  for (let colQuad = 0; colQuad < colQuads; colQuad++) {
    let source = colQuad;
    let target = firstWord + 4 * colQuad * toStride;
    for (let rowQuad = 0; rowQuad < rowQuads; rowQuad++) {
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
