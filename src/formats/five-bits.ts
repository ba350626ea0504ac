import { spreadBits } from "../numeric/bits.ts";
import { bitRuns } from "./bit-runs.ts";

/*
 * The 20 bytes in which Q5_0 and Q5_1 keep 32 quants of 5 bits: the high bits first, bit `i` that of weight `i`, then the
 * low 4 bits.
 */

const low = bitRuns(16, 4);
/** Byte at which the low 4 bits start. */
const LOW = 4;
const WEIGHTS = 32;

/** Bytes that a block's quants take in their two planes on the GPU: low 4 bits, and high bits. */
export const FIVE_BIT_PLANES = [16, 4] as const;

/** The quant of weight `index`; the block's start at byte `start`. */
export function fiveBitQuant(block: DataView, start: number, index: number): number {
  const high = (block.getUint32(start, true) >>> index) & 1;
  return low.get(block, start + LOW, index) | (high << 4);
}

/** Writes the quants of a block. */
export function putFiveBitQuants(block: DataView, start: number, quants: Uint8Array): void {
  let high = 0;
  quants.forEach((quant, i) => {
    low.put(block, start + LOW, i, quant & 15);
    high |= (quant >> 4) << i;
  });
  block.setUint32(start, high, true);
}

/** Writes block `index`'s part of the two planes; in `from` its quants start at byte `source`. */
export function repackFiveBits(
  from: DataView,
  source: number,
  lowPlane: DataView,
  highPlane: DataView,
  index: number,
): void {
  const [lowBytes, highBytes] = FIVE_BIT_PLANES;
  low.repack(from, source + LOW, lowPlane, index * lowBytes, WEIGHTS);
  highPlane.setUint32(index * highBytes, spreadBits(from.getUint32(source, true)), true);
}
