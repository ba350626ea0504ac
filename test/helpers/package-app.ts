import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "vite";
import { tinyModel } from "./tiny-models.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

/** Of onnxruntime-web an app needs these; the rest are 130 MB of other builds. */
const ONNX_FILES =
  /package\.json$|ort\.wasm\.bundle\.min\.mjs$|ort-wasm-simd-threaded\.(mjs|wasm)$/;

/**
 * The app of docs/embedding.md, which loads a tiny model with the options in its address (`?options={…}`) and leaves what
 * came of it in `document.body.dataset.result`, as JSON.
 */
const APP = {
  "index.html": '<!doctype html><title>App</title><script type="module" src="./main.ts"></script>',
  "engine.worker.ts": 'import "sluice/worker";',
  "main.ts": `
    import { connect } from "sluice";
    const options = JSON.parse(new URL(location.href).searchParams.get("options"));
    try {
      const worker = new Worker(new URL("./engine.worker.ts", import.meta.url), { type: "module" });
      const engine = await connect(worker);
      await engine.load("/model.gguf", options);
      const { tokens, stats } = await engine.generate({ tokens: [1, 2, 3] }, { maxTokens: 4 }).result;
      document.body.dataset.result = JSON.stringify({ tokens, runtime: stats.runtime });
    } catch (error) {
      document.body.dataset.result = JSON.stringify({ error: String(error) });
    }`,
} as const;

/** An app that has the package installed, in a folder of its own. */
export interface PackageApp extends AsyncDisposable {
  readonly folder: string;
}

/** Builds the package, packs it, and installs it in a fresh app with what it depends on. Node only. */
export async function makePackageApp(): Promise<PackageApp> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-app-"));
  const made = join(folder, "made");
  await build({
    configFile: join(ROOT, "vite.config.ts"),
    logLevel: "error",
    build: { outDir: join(made, "dist"), emptyOutDir: true },
  });
  await cp(join(ROOT, "package.json"), join(made, "package.json"));
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--silent"], { cwd: made });
  const modules = join(folder, "node_modules");
  await mkdir(join(modules, "sluice"), { recursive: true });
  const unpack = ["-xzf", join(made, stdout.trim()), "--strip-components=1"];
  await run("tar", unpack, { cwd: join(modules, "sluice") });
  await installDependencies("sluice", modules);
  for (const [name, text] of Object.entries(APP)) await writeFile(join(folder, name), text);
  await mkdir(join(folder, "public"));
  const model = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 });
  await writeFile(join(folder, "public/model.gguf"), model);
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Copies what `name` depends on from this repository, as a package manager would install it. */
async function installDependencies(name: string, modules: string): Promise<void> {
  const text = await readFile(join(modules, name, "package.json"), "utf8");
  const { dependencies = {} } = JSON.parse(text) as { dependencies?: Record<string, string> };
  for (const dependency of Object.keys(dependencies)) {
    const from = join(ROOT, "node_modules", dependency);
    const to = join(modules, dependency);
    await mkdir(dirname(to), { recursive: true });
    const isOnnx = dependency === "onnxruntime-web";
    const filter = (path: string) =>
      !isOnnx || path === from || path === join(from, "dist") || ONNX_FILES.test(path);
    await cp(from, to, { recursive: true, filter });
    // Its builds have everything in them.
    if (!isOnnx) await installDependencies(dependency, modules);
  }
}
