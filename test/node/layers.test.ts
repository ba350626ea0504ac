import { describe, expect, test } from "vitest";

const BASE = ["errors", "numeric", "next-task"];
const COMPUTE = [...BASE, "gpu", "onnx", "formats", "routing", "kernels", "ops"];
const BYTES = ["gguf", "storage", "tokenizer"];
const PURE = ["experts", "scheduler", "speculation"];

/** What each folder of `src`, or file directly in it, may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  "next-task": [],
  numeric: ["errors"],
  gguf: BASE,
  storage: BASE,
  tokenizer: BASE,
  experts: BASE,
  scheduler: [...BASE, "experts"],
  speculation: BASE,
  gpu: [...BASE, "shaders"],
  formats: [...BASE, "gpu", "shaders"],
  routing: [...BASE, "gpu", "shaders"],
  kernels: [...BASE, "gpu", "formats", "routing", "shaders"],
  onnx: BASE,
  ops: [...BASE, "gpu", "onnx", "formats", "routing", "kernels"],
  models: [...BASE, "ops"],
  engine: [...COMPUTE, ...BYTES, ...PURE, "models"],
  rpc: ["errors"],
  faces: ["errors", "rpc"],
  worker: ["errors", "onnx", "engine", "rpc"],
  index: ["errors", "rpc", "faces"],
  cli: [...COMPUTE, ...BYTES, ...PURE, "models", "engine", "rpc", "faces", "index", "tools"],
  // The demo uses the package as anybody would: by its entries.
  demo: ["sluice", "index", "worker"],
};

/** What may be imported besides, as types only: they cost nothing and are gone at run time. */
const MAY_IMPORT_TYPES: Record<string, readonly string[]> = {
  gguf: ["storage"],
  tokenizer: ["gguf"],
  models: ["gguf"],
  engine: ["rpc"],
  rpc: ["engine", "experts", "formats", "gpu", "kernels", "scheduler", "speculation", "storage"],
  faces: ["engine"],
  index: ["engine"],
};

const sources: Record<string, string> = import.meta.glob(["/src/**/*.ts", "/demo/**/*.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

describe("imports", () => {
  test.for(Object.keys(sources))("%s imports only from the layers below it", (path) => {
    expect(violations(path, sources[path]!)).toEqual([]);
  });

  test("there are sources to look at", () => {
    expect(Object.keys(sources)).toContain("/src/errors.ts");
  });

  test.for([
    ["/src/experts/cache.ts", 'import { a } from "../gpu/device.ts";', ["gpu"]],
    ["/src/experts/cache.ts", 'import {\n  a,\n} from "../gpu/device.ts";', ["gpu"]],
    ["/src/gguf/header.ts", 'import type { A } from "../storage/a.ts";', []],
    ["/src/gguf/header.ts", 'import { A } from "../storage/a.ts";', ["storage"]],
    ["/src/experts/policies/lru.ts", 'export { a } from "../cache.ts";', []],
    ["/src/experts/policies/lru.ts", 'await import("../../engine/engine.ts");', ["engine"]],
    ["/src/numeric/f16.ts", 'import "../worker.ts";', ["worker"]],
    ["/src/numeric/f16.ts", 'export const a = ["sluice"];', []],
    ["/src/models/qwen.ts", 'import a from "../../shaders/a.wgsl?raw";', ["shaders"]],
    ["/demo/chat/main.ts", 'import { connect } from "sluice";', []],
    ["/demo/chat/main.ts", 'import { a } from "../../src/errors.ts";', ["errors"]],
    ["/src/new/a.ts", 'import { a } from "../errors.ts";', ["errors"]],
  ] as const)("%s: %s", ([path, text, layers]) => {
    expect(violations(path, text)).toEqual(layers);
  });
});

/** The layers that the file at `path` with this text imports and must not. */
function violations(path: string, text: string): string[] {
  const own = layerOf(path);
  return imports(text)
    .map(({ target, typeOnly }) => ({ layer: layerOf(resolve(path, target)), typeOnly }))
    .filter(({ layer, typeOnly }) => {
      if (layer === own || layer === PACKAGE) return false;
      if (MAY_IMPORT[own]?.includes(layer)) return false;
      return !(typeOnly && MAY_IMPORT_TYPES[own]?.includes(layer));
    })
    .map(({ layer }) => layer);
}

const STATEMENT =
  /^(?:import|export)\b(?<type>\s+type\b)?(?:[^"';]*\bfrom)?\s*"(?<target>[^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"(?<target>[^"]+)"/g;

function imports(text: string): { target: string; typeOnly: boolean }[] {
  return [...text.matchAll(STATEMENT), ...text.matchAll(DYNAMIC)].map(({ groups }) => ({
    target: groups!.target!,
    typeOnly: groups!.type !== undefined,
  }));
}

/** `target` as seen from the file at `path`: a path from the root, or a package's name. */
function resolve(path: string, target: string): string {
  return target.startsWith(".") ? new URL(target, `file://${path}`).pathname : target;
}

const PACKAGE = "(package)";

/** `/src/gpu/link.ts` is of layer `gpu`, `/src/errors.ts` of `errors`, `comlink` of no layer. */
function layerOf(path: string): string {
  if (!path.startsWith("/")) return path.split("/")[0] === "sluice" ? "sluice" : PACKAGE;
  const [, top, name] = path.split("/");
  return top === "src" ? name!.replace(/\.ts$/, "") : top!;
}
