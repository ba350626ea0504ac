import weightBlock from "../../shaders/formats/shared/weight_block.wgsl?raw";
import weights from "../../shaders/formats/shared/weights.wgsl?raw";
import type { WeightFormat } from "./format.ts";

/**
 * The WGSL parts by which a kernel reads weights of `format`: the binding, the format's parts, and a function of the
 * name that the kernel calls. A kernel that reads matrices of several formats, each by a name of its own, takes the
 * lists of all of them: the linker keeps one of each part.
 *
 * @param name what the kernel calls the format's `load_X`
 * @param binding of group 1: a kernel that reads several buffers takes each from a binding of its own
 * @example
 * parts: [...weightParts(gate.format, "load_gate"), ...weightParts(up.format, "load_up", 1)]
 */
export function weightParts(
  format: WeightFormat,
  name = "load_weights",
  binding = 0,
): readonly string[] {
  return linkedParts(format, format.parts, "load", { name, binding });
}

/** The same for a kernel that reads one buffer, which holds one matrix and nothing else. */
export function aloneParts(format: WeightFormat, name: string): readonly string[] {
  if (!format.aloneParts) return weightParts(format, name);
  return [...format.aloneParts, namedLoader(format, "load", name)];
}

/**
 * The same for a kernel that reads blocks of 32 weights as integers, of a format that has `blockParts`: its unit makes of
 * them what it multiplies (`weight_unit` in `shaders/linear/unit`).
 */
export function blockParts(
  format: WeightFormat,
  name = "load_weights",
  binding = 0,
): readonly string[] {
  if (!format.blockParts) throw new Error(`unreachable: ${format.name} has no blocks of integers`);
  return linkedParts(format, [weightBlock, ...format.blockParts], "block", { name, binding });
}

/** What kernels are given of what the functions of formats give. */
const UNITS = {
  load: { type: "array<vec4f, 2>", of: (loaded: string) => loaded },
  block: { type: "WeightUnit", of: (block: string) => `weight_unit(${block})` },
} as const;

/** `parts` of a format, and its function that gives units of one kind under the name that the kernel calls. */
function linkedParts(
  format: WeightFormat,
  parts: readonly string[],
  kind: keyof typeof UNITS,
  { name, binding }: { readonly name: string; readonly binding: number },
): readonly string[] {
  const all = [weights, ...parts];
  const suffix = binding === 0 ? "" : `_${binding}`;
  const loader = namedLoader(format, kind, name, suffix);
  if (binding === 0) return [...all, loader];
  return [
    ...withSuffix(all, suffix).map((part) =>
      part.replace("@group(1) @binding(0)", `@group(1) @binding(${binding})`),
    ),
    loader,
  ];
}

/** What a kernel calls, and of which format it is: `formats/footprint.ts` reads it. */
function namedLoader(
  format: WeightFormat,
  kind: keyof typeof UNITS,
  name: string,
  suffix = "",
): string {
  const scaled = kind === "load" && format.isScaled;
  return `// ${name}: reads ${format.name}.
${loaderOf(name, `${format.name}${suffix}`, kind, scaled)}`;
}

/**
 * What a kernel calls: `load_NAME`, and of a scaled format `scale_NAME`, what four units share, and `unit_NAME`, one of
 * them. WGSL has no alias for a function; compilers inline these.
 */
function loaderOf(name: string, format: string, kind: keyof typeof UNITS, scaled = false): string {
  const { type, of } = UNITS[kind];
  const place = "base: u32, count: u32, unit: u32";
  if (!scaled) {
    return `fn ${name}(${place}) -> ${type} {
  return ${of(`${kind}_${format}(base, count, unit)`)};
}
`;
  }
  const matrix = name.replace(/^load_/, "");
  return `fn scale_${matrix}(${place}) -> vec2f {
  return scale_${format}(base, count, unit);
}

fn unit_${matrix}(${place}, scale: vec2f) -> ${type} {
  return unit_${format}(base, count, unit, scale);
}

fn ${name}(${place}) -> ${type} {
  return unit_${matrix}(base, count, unit, scale_${matrix}(base, count, unit));
}
`;
}

/** What a part declares at its top level. */
const DECLARED = /^(?:@[^\n]*\s)?(?:fn|const|override|struct|alias|var(?:<[^>]*>)?)\s+(\w+)/gm;

/**
 * The parts with a suffix to what reads their buffer, or calls what does, so that they can be linked beside themselves: a
 * function reads the one buffer that its text names, and WGSL passes no buffers. What does not depend on a buffer stays.
 */
function withSuffix(parts: readonly string[], suffix: string): readonly string[] {
  const declared = new Map(
    parts.map((part) => [part, [...part.matchAll(DECLARED)].map(([, name]) => name!)]),
  );
  const bound = new Set(declared.get(weights));
  const boundParts = new Set([weights]);
  const anyBound = () => new RegExp(`\\b(?:${[...bound].join("|")})\\b`, "g");
  for (let before = 0; before < boundParts.size; ) {
    before = boundParts.size;
    for (const [part, names] of declared) {
      if (!anyBound().test(part.replace(/\/\/.*$/gm, ""))) continue;
      boundParts.add(part);
      for (const name of names) bound.add(name);
    }
  }
  // The others are left as they are to the letter, or else the linker would keep two of each.
  return parts.map((part) =>
    boundParts.has(part) ? part.replace(anyBound(), (name) => `${name}${suffix}`) : part,
  );
}
