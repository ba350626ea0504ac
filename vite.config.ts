import { existsSync } from "node:fs";
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import { defineConfig, type UserConfig } from "vite";
import packageJson from "./package.json" with { type: "json" };

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** What a page needs to share memory among threads and to read precise clocks. */
const ISOLATION_HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** The package's entries, by the names that `exports` and `bin` of package.json give them, and the command's thread. */
const LIBRARY_ENTRIES = {
  index: path("src/index.ts"),
  worker: path("src/worker.ts"),
  "ai-sdk": path("src/faces/ai-sdk.ts"),
  "cli/sluice": path("src/cli/sluice.ts"),
  "cli/expert-thread": path("src/cli/expert-thread.ts"),
};

/** Packages that stay imports. The command's commander is no dependency, so it is built in. */
const IMPORTED = Object.keys({
  ...packageJson.dependencies,
  ...packageJson.devDependencies,
}).filter((name) => name !== "commander");

/**
 * How a development server hands out packages. Those that are bundled beforehand are named: finding one at a later request
 * reloads the page, model and all. onnxruntime-web is served as it is, since its threads start from its own file.
 */
export const optimizeDeps = {
  include: Object.keys(packageJson.dependencies).filter((name) => name !== "onnxruntime-web"),
  exclude: ["onnxruntime-web"],
};

/** `vite build`: the library, into dist/. Dependencies stay imports; WGSL is inlined by `?raw`. */
const library: UserConfig = {
  publicDir: false,
  worker: { format: "es" },
  build: {
    outDir: path("dist"),
    target: "es2023",
    minify: false,
    sourcemap: true,
    lib: {
      entry: Object.fromEntries(
        Object.entries(LIBRARY_ENTRIES).filter(([, file]) => existsSync(file)),
      ),
      formats: ["es"],
    },
    rolldownOptions: {
      external: [
        /^node:/,
        ...builtinModules,
        ...IMPORTED.map((name) => new RegExp(`^${name}(/|$)`)),
      ],
    },
  },
};

/** `vite` serves the demo pages from source; `vite build --mode demo` writes them to dist/demo. */
const demo: UserConfig = {
  root: path("demo"),
  base: "./",
  cacheDir: path("node_modules/.vite/demo"),
  resolve: {
    alias: [
      { find: /^sluice$/, replacement: path("src/index.ts") },
      { find: /^sluice\/worker$/, replacement: path("src/worker.ts") },
    ],
  },
  worker: { format: "es" },
  optimizeDeps,
  server: { headers: ISOLATION_HEADERS },
  preview: { headers: ISOLATION_HEADERS },
  build: {
    outDir: path("dist/demo"),
    emptyOutDir: true,
    target: "es2023",
    rolldownOptions: {
      input: ["demo/index.html", "demo/profiler.html"].map(path).filter(existsSync),
    },
  },
};

export default defineConfig(({ command, mode }) =>
  command === "build" && mode !== "demo" ? library : demo,
);
