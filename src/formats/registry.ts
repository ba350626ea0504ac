import { f32 } from "./f32.ts";
import type { WeightFormat } from "./format.ts";

/** Every weight format, by name. To add one: write its two files and name it here. */
export const weightFormats = { f32 } as const satisfies Record<string, WeightFormat>;

/** The name of a weight format. */
export type WeightFormatName = keyof typeof weightFormats;

const byGgmlType = new Map<number, WeightFormat>(
  Object.values(weightFormats).map((format) => [format.ggmlType, format]),
);

/** The format of a GGUF tensor type; undefined when Sluice does not have it. */
export function formatOfGgmlType(ggmlType: number): WeightFormat | undefined {
  return byGgmlType.get(ggmlType);
}
