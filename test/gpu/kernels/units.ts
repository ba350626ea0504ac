import { blockInputParts } from "../../../src/kernels/parts.ts";

/** Whether this browser has `dot4I8Packed`. */
export const hasPackedDot =
  navigator.gpu?.wgslLanguageFeatures?.has("packed_4x8_integer_dot_product") ?? false;

/** How this browser can multiply blocks of bytes. */
export const unitNames = (Object.keys(blockInputParts) as (keyof typeof blockInputParts)[]).filter(
  (name) => name !== "integers" || hasPackedDot,
);
