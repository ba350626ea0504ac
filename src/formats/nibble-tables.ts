/** What the 4 bits of IQ4_NL and IQ4_XS stand for. Source: ggml kvalues_iq4nl. */
export const IQ4_TABLE = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
);

/** The farthest from 0 that the table of IQ4 reaches on both sides. */
export const IQ4_REACH = 113;

/** Twice what the 4-bit floats of MXFP4 and NVFP4 are; -0 is 0. Source: ggml kvalues_mxfp4, OCP Microscaling Formats. */
export const E2M1_TABLE = Int8Array.of(
  ...[0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12],
);
/** The farthest from 0 that it reaches. */
export const E2M1_REACH = 12;

/** The index of the number that, times `scale`, is nearest to `value`; the first of them. */
export function nearestIn(table: Int8Array, scale: number, value: number): number {
  let nearest = 0;
  let least = Infinity;
  for (let index = 0; index < table.length; index++) {
    const error = Math.abs(table[index]! * scale - value);
    if (error < least) {
      nearest = index;
      least = error;
    }
  }
  return nearest;
}
