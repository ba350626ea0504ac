import { f16ToF32 } from "../numeric/f16.ts";
import type { GroupScales } from "./fit.ts";
import type { IntegerTarget } from "./integers.ts";

/*
 * The 16 bytes in which Q4_K and Q5_K keep the scales and mins of a block's 8 groups: d and dmin, f16, then a scale and a
 * min for each group, 6 bits each. Groups 4 to 7 keep their high 2 bits above those of groups 0 to 3.
 *
 * Source: ggml get_scale_min_k4.
 */

/** Bytes of a block's scales and mins. */
export const K_SCALE_BYTES = 16;
/** The largest scale or min of a group. */
export const MAX_K_SCALE = 63;
/** Bytes from the start, where d is, to dmin and to the groups' scales. */
const DMIN = 2;
const GROUP_SCALES = 4;
const GROUPS = 8;

/** The scale of a group: `d * scale`. The block's scales start at byte `start` of `view`. */
export function kScale(view: DataView, start: number, group: number): number {
  return f16ToF32(view.getUint16(start, true)) * scaleBits(view, start + GROUP_SCALES, group);
}

/** What is subtracted from a group's weights: `dmin * min`. */
export function kMin(view: DataView, start: number, group: number): number {
  return f16ToF32(view.getUint16(start + DMIN, true)) * minBits(view, start + GROUP_SCALES, group);
}

/** Reads scales and mins of blocks `first` to `first + blocks - 1` from their plane, for IntegerForm.read. */
export function readKScales(
  plane: DataView,
  first: number,
  blocks: number,
  { scales, mins, group, groupStride }: IntegerTarget,
): void {
  let at = group;
  for (let block = first; block < first + blocks; block++) {
    const start = K_SCALE_BYTES * block;
    const d = f16ToF32(plane.getUint16(start, true));
    const dmin = f16ToF32(plane.getUint16(start + DMIN, true));
    for (let i = 0; i < GROUPS; i++) {
      scales[at] = d * scaleBits(plane, start + GROUP_SCALES, i);
      mins[at] = dmin * minBits(plane, start + GROUP_SCALES, i);
      at += groupStride;
    }
  }
}

function scaleBits(view: DataView, groups: number, group: number): number {
  const at = groups + group;
  if (group < 4) return view.getUint8(at) & 63;
  return (view.getUint8(at + 4) & 15) | ((view.getUint8(at - 4) >> 6) << 4);
}

function minBits(view: DataView, groups: number, group: number): number {
  const at = groups + group;
  if (group < 4) return view.getUint8(at + 4) & 63;
  return (view.getUint8(at + 4) >> 4) | ((view.getUint8(at) >> 6) << 4);
}

/** Writes a block's scales and mins. */
export function putKScales(
  view: DataView,
  start: number,
  scales: GroupScales,
  mins: GroupScales,
): void {
  const [scale, min] = [scales.multiples, mins.multiples];
  view.setUint16(start, scales.dBits, true);
  view.setUint16(start + DMIN, mins.dBits, true);
  for (let i = 0; i < 4; i++) {
    const at = start + GROUP_SCALES + i;
    view.setUint8(at, scale[i]! | ((scale[i + 4]! >> 4) << 6));
    view.setUint8(at + 4, min[i]! | ((min[i + 4]! >> 4) << 6));
    view.setUint8(at + 8, (scale[i + 4]! & 15) | ((min[i + 4]! & 15) << 4));
  }
}
