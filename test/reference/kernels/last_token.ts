/** The last token's row, exactly. x [tokens, width] */
export function lastTokenReference(x: Float32Array, width: number): Float32Array {
  return x.slice(x.length - width);
}
