import { f16ToF32 } from "../numeric/f16.ts";
import type { IntegerTarget } from "./integers.ts";

/** Scales of a plane that has one f16 for each group: numbers `first` to `first + count - 1`. */
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
