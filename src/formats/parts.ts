import weights from "../../shaders/formats/shared/weights.wgsl?raw";
import type { WeightFormat } from "./format.ts";

/**
 * The WGSL parts by which a kernel reads weights of `format`: the binding, the format's parts, and a function of the
 * name that the kernel calls. A kernel that reads matrices of several formats, each by a name of its own, takes the
 * lists of all of them: the linker keeps one of each part.
 *
 * @param name what the kernel calls the format's `load_X`
 * @example
 * parts: [...weightParts(gate.format, "load_gate"), ...weightParts(up.format, "load_up")]
 */
export function weightParts(format: WeightFormat, name = "load_weights"): readonly string[] {
  return [weights, ...format.parts, loader(format, name)];
}

/** WGSL has no alias for a function; compilers inline this one. */
function loader(format: WeightFormat, name: string): string {
  return `// ${name}: reads ${format.name}.
fn ${name}(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {
  return load_${format.name}(base, count, unit);
}
`;
}
