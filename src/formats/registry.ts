import { bf16 } from "./bf16.ts";
import { f16 } from "./f16.ts";
import { f32 } from "./f32.ts";
import type { WeightFormat } from "./format.ts";
import { iq4_nl } from "./iq4_nl.ts";
import { iq4_xs } from "./iq4_xs.ts";
import { mxfp4 } from "./mxfp4.ts";
import { nvfp4 } from "./nvfp4.ts";
import { q2_k } from "./q2_k.ts";
import { q3_k } from "./q3_k.ts";
import { q4_0 } from "./q4_0.ts";
import { q4_1 } from "./q4_1.ts";
import { q4_k } from "./q4_k.ts";
import { q5_0 } from "./q5_0.ts";
import { q5_1 } from "./q5_1.ts";
import { q5_k } from "./q5_k.ts";
import { q6_k } from "./q6_k.ts";
import { q8_0 } from "./q8_0.ts";
import { tq1_0 } from "./tq1_0.ts";
import { tq2_0 } from "./tq2_0.ts";

/** Every weight format, by name. To add one: write its two files and name it here. */
export const weightFormats = {
  f32,
  f16,
  bf16,
  q8_0,
  q5_1,
  q5_0,
  q4_1,
  q4_0,
  q6_k,
  q5_k,
  q4_k,
  q3_k,
  q2_k,
  iq4_xs,
  iq4_nl,
  mxfp4,
  nvfp4,
  tq2_0,
  tq1_0,
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
