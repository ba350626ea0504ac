import half from "../../shaders/formats/half.wgsl?raw";

/** The source of a format that calls `half_to_float`, with that function. */
export function withHalf(source: string): string {
  return `${half}\n${source}`;
}
