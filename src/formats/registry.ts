import { bf16 } from "./bf16.ts";
import { f16 } from "./f16.ts";
import { f32 } from "./f32.ts";
import type { WeightFormat } from "./format.ts";
import { q4_0 } from "./q4_0.ts";
import { q4_k } from "./q4_k.ts";
import { q6_k } from "./q6_k.ts";
import { q8_0 } from "./q8_0.ts";

/** Every weight format, by name. To add one: write its two files and name it here. */
export const weightFormats = {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_k,
  q6_k,
} as const satisfies Record<string, WeightFormat>;

/** The name of a weight format. */
export type WeightFormatName = keyof typeof weightFormats;

const byGgmlType = new Map<number, WeightFormat>(
  Object.values(weightFormats).map((format) => [format.ggmlType, format]),
);

/** The format of a GGUF tensor type; undefined when Sluice does not have it. */
export function formatOfGgmlType(ggmlType: number): WeightFormat | undefined {
  return byGgmlType.get(ggmlType);
}
