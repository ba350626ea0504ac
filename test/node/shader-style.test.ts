import { describe, expect, test } from "vitest";
import type { Kernel } from "../../src/gpu/kernel.ts";

const shaders: Record<string, string> = import.meta.glob("/shaders/**/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});
const wrappers: Record<string, Record<string, unknown>> = import.meta.glob(
  ["/src/kernels/**/*.ts", "!/src/kernels/index.ts"],
  { eager: true },
);

const kernelShaders = Object.keys(shaders).filter((path) => /@compute\b/.test(shaders[path]!));
const kernels = Object.entries(wrappers).flatMap(([path, module]) =>
  Object.values(module)
    .filter(isKernel)
    .map((kernel) => ({ path, kernel, name: baseName(path) })),
);

describe("every shader", () => {
  test.for(Object.keys(shaders))("%s keeps to the style", (path) => {
    const text = shaders[path]!;
    const tooLong = text.split("\n").filter((line) => line.length > 100);

    expect(text, "starts with a comment that says what it is").toMatch(/^\/\/ \S/);
    expect(text, "has no tab").not.toContain("\t");
    expect(text, "has no preprocessor and no hole to fill").not.toMatch(/#|\$\{/);
    expect(text, "has no space at a line's end").not.toMatch(/ $/m);
    expect(text, "ends with one newline").toMatch(/[^\n]\n$/);
    expect(tooLong, "has at most 100 columns").toEqual([]);
  });
});

describe("shaders and wrappers", () => {
  test("each kernel shader has a wrapper of its name, and each wrapper a shader", () => {
    const names = [...new Set(kernels.map(({ name }) => name))];

    expect(names.sort()).toEqual(kernelShaders.map(baseName).sort());
  });

  test.for(kernels)("$name is declared as its shader is written", ({ name, kernel }) => {
    const path = kernelShaders.find((shader) => baseName(shader) === name);
    const declared = declarations(path === undefined ? "" : shaders[path]!);

    expect(kernel.source, "its source holds its shader").toContain(shaders[path!]);
    expect(contractOf(kernel)).toEqual(declared);
  });
});

describe("the check of a wrapper", () => {
  const text = `// y = x
override SIZE: u32 = 64u;
override SCALE: f32 = 0.5;
struct Params {
  rows: u32, // of y
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(SIZE)
fn main() {
  if (control.fault != 0u) { return; }
  let w = load_weights(0u, 0u, 0u);
}
`;

  test("reads params, buffers, constants and groups in order", () => {
    expect(declarations(text)).toEqual({
      params: [
        ["rows", "u32"],
        ["epsilon", "f32"],
      ],
      buffers: [
        ["x", "read"],
        ["y", "read_write"],
      ],
      constants: { SIZE: 64, SCALE: 0.5 },
      weights: true,
      obeysControl: true,
    });
  });

  test("refuses a binding out of its place", () => {
    expect(() => declarations(text.replace("@binding(2)", "@binding(3)"))).toThrow("y");
  });
});

/** What a kernel and its shader must agree on; pairs where order counts. */
interface Contract {
  readonly params: [name: string, type: string][];
  readonly buffers: [name: string, access: string][];
  readonly constants: Record<string, number>;
  readonly weights: boolean;
  readonly obeysControl: boolean;
}

function contractOf(kernel: Kernel): Contract {
  return {
    params: Object.entries(kernel.params),
    buffers: Object.entries(kernel.buffers),
    constants: { ...kernel.constants },
    weights: Boolean(kernel.weights),
    obeysControl: kernel.control !== "none",
  };
}

const BUFFER = /@group\(0\)\s*@binding\((\d+)\)\s*var<storage(?:,\s*(\w+))?>\s*(\w+)/g;
const OVERRIDE = /^override\s+(\w+)(?:\s*:\s*\w+)?\s*=\s*([-+.\deE]+)[uif]?;/gm;

function declarations(wgsl: string): Contract {
  const text = wgsl.replace(/\/\/.*$/gm, "");
  const fields = /struct Params\s*\{([^}]*)\}/.exec(text)?.[1] ?? "";
  const buffers = [...text.matchAll(BUFFER)].map(([, binding, access, name], index) => {
    if (Number(binding) !== index + 1) throw new Error(`${name} is at binding ${binding}`);
    return [name!, access ?? "read"] as [string, string];
  });
  return {
    params: [...fields.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, name, type]) => [name!, type!]),
    buffers,
    constants: Object.fromEntries(
      [...text.matchAll(OVERRIDE)].map(([, name, value]) => [name, Number(value)]),
    ),
    weights: /@group\(1\)|\b(?:load_\w+|row_dots_\w+|matrix_dots|head_products)\b/.test(text),
    obeysControl: /\bcontrol\./.test(text),
  };
}

function isKernel(value: unknown): value is Kernel {
  return typeof value === "object" && value !== null && "source" in value && "buffers" in value;
}

/** `/shaders/moe/router.wgsl` and `/src/kernels/router.ts` are both `router`. */
function baseName(path: string): string {
  return path.replace(/^.*\//, "").replace(/\.[^.]*$/, "");
}
