import { describe, expect, test } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { blockParts, weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { linkWgsl } from "../../../src/gpu/link.ts";
import { kernels } from "../../../src/kernels/index.ts";
import { rowDotsParts } from "../../../src/kernels/parts.ts";

const formats: readonly WeightFormat[] = Object.values(weightFormats);

/** What a module declares outside of functions and structs. */
function declaredNames(wgsl: string): string[] {
  const declaration =
    /^(?:@\w+(?:\([^)]*\))?\s*)*(?:fn|const|override|struct|alias|var(?:<[^>]*>)?)\s+(\w+)/gm;
  return [...wgsl.matchAll(declaration)].map(([, name]) => name!);
}

function repeated(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

describe.for(formats)("the parts of $name", (format) => {
  test("supply the loader that kernels are linked to", () => {
    const linked = linkWgsl(weightParts(format, "load_gate"));

    const own = format.isScaled
      ? [
          `fn scale_${format.name}(base: u32, count: u32, unit: u32) -> vec2f {`,
          `fn unit_${format.name}(base: u32, count: u32, unit: u32, scale: vec2f) -> array<vec4f, 2> {`,
        ]
      : [`fn load_${format.name}(base: u32, count: u32, unit: u32) -> array<vec4f, 2> {`];
    for (const declaration of own) expect(linked).toContain(declaration);
    expect(declaredNames(linked)).toEqual(
      expect.arrayContaining([
        "weights",
        "load_gate",
        ...(format.isScaled ? ["scale_gate", "unit_gate"] : []),
      ]),
    );
  });

  test.runIf(format.blockParts)("supply blocks of integers, in any binding", () => {
    for (const other of formats.filter((each) => each.blockParts)) {
      const linked = linkWgsl([
        ...blockParts(format, "load_gate"),
        ...blockParts(other, "load_up"),
        ...blockParts(other, "load_down", 1),
        ...blockParts(format, "load_more", 2),
      ]);

      expect(linked).toContain(
        `fn block_${format.name}(base: u32, count: u32, block: u32) -> WeightBlock {`,
      );
      expect(repeated(declaredNames(linked)), other.name).toEqual([]);
    }
  });

  test("share no name with those of another format but whole parts", () => {
    for (const other of formats) {
      const linked = linkWgsl([
        ...weightParts(format, "load_gate"),
        ...weightParts(other, "load_up"),
      ]);

      expect(repeated(declaredNames(linked)), other.name).toEqual([]);
    }
  });

  test.for([1, 2])("share no name with those of other formats in binding %i", (binding) => {
    for (const other of formats) {
      const own = weightParts(format, "load_a");
      const others = weightParts(other, "load_b", binding);
      const linked = linkWgsl([...own, ...others, ...weightParts(format, "load_c", 3 - binding)]);

      expect(repeated(declaredNames(linked)), other.name).toEqual([]);
    }
  });

  test("read the buffer of their binding in another than the first", () => {
    const linked = linkWgsl(weightParts(format, "load_b", 2));

    expect(linked.match(/@binding\(\d+\)/g)).toEqual(["@binding(2)"]);
    // Nothing is called or read that is declared for the first buffer alone.
    const own = new Set(declaredNames(linked));
    const others = declaredNames(linkWgsl(weightParts(format))).filter((name) => !own.has(name));
    const words = linked.replace(/\/\/.*$/gm, "").match(/\b[A-Za-z_]\w*\b/g)!;
    expect(others).toEqual(
      expect.arrayContaining(["weights", `${format.isScaled ? "unit" : "load"}_${format.name}`]),
    );
    expect(words.filter((word) => others.includes(word))).toEqual([]);
  });

  test("share no name with a kernel that reads weights", () => {
    const readsCache = (kernel: { readonly source: string }) =>
      /\bcache_quad\b|attention/.test(kernel.source);
    for (const kernel of kernels.filter((each) => each.weights && !readsCache(each))) {
      const linked = linkWgsl([
        kernel.source,
        ...weightParts(format),
        ...rowDotsParts(format, "b", { binding: 1 }),
        ...rowDotsParts(format, "c", { binding: 2 }),
      ]);

      expect(repeated(declaredNames(linked)), kernel.name).toEqual([]);
    }
  });
});

test("the check finds what is declared twice", () => {
  const module =
    "@group(1) @binding(0) var<storage, read> a: array<u32>;\nconst b = 1;\nfn a() {}\n";

  expect(repeated(declaredNames(module))).toEqual(["a"]);
});
