import { f16ToF32 } from "../numeric/f16.ts";
import type { IntegerTarget } from "./integers.ts";

/** Reads the scales of groups `first` to `first + count - 1` from a plane that has one f16 for each. */
export function readHalfScales(
  plane: DataView,
  first: number,
  count: number,
  { scales, group, groupStride }: IntegerTarget,
): void {
  for (let i = 0; i < count; i++) {
    scales[group + i * groupStride] = f16ToF32(plane.getUint16(2 * (first + i), true));
  }
}

/** Reads scales and mins from a plane that has an f16 to multiply with and one to *add* for each group. */
export function readHalfScalesAndMins(
  plane: DataView,
  first: number,
  count: number,
  { scales, mins, group, groupStride }: IntegerTarget,
): void {
  for (let i = 0; i < count; i++) {
    const at = group + i * groupStride;
    const byte = 4 * (first + i);
    scales[at] = f16ToF32(plane.getUint16(byte, true));
    mins[at] = -f16ToF32(plane.getUint16(byte + 2, true));
  }
}
