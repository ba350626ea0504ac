import { createHash } from "node:crypto";
import { existsSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findChromium } from "../../../tools/browsers/chromium.ts";
import type { Job, JobHooks, ResultOf, Task } from "../job.ts";
import { tuningsFile } from "../tunings.ts";
import { hasGpu, importTool } from "./driver.ts";
import { runInProcess } from "./in-process.ts";

/** Dawn rounds timestamps, so that no page can tell much by them; here nobody has to be kept from that. */
const DAWN_OPTIONS = ["disable-dawn-features=timestamp_quantization"] as const;

/** Runs the engine in this process, on the npm package `webgpu`: Chromium's WebGPU without Chromium. */
export async function dawn<Work extends Task>(
  job: Job<Work>,
  hooks: JobHooks,
): Promise<ResultOf<Work>> {
  const host = {
    gpu: await createDawn(),
    tunings: tuningsFile(),
    runtime: `Dawn of webgpu ${dawnVersion()}, Node.js ${process.version}`,
  };
  return runInProcess(host, { ...job, load: { ...job.load, runtime: "webgpu" } }, hooks);
}

/** The entry point of WebGPU, with its constants put in the global scope. */
export async function createDawn(): Promise<GPU> {
  chooseVulkanDriver();
  const { create, globals } = await importTool("webgpu", () => import("webgpu"));
  Object.assign(globalThis, globals);
  return create([...DAWN_OPTIONS]);
}

/** The version of the npm package. */
function dawnVersion(): string {
  try {
    const require = createRequire(import.meta.url);
    return (require("webgpu/package.json") as { version: string }).version;
  } catch {
    return "of unknown version";
  }
}

/**
 * Without a GPU, Dawn finds no adapter of its own: it refuses Mesa's lavapipe. SwiftShader comes with Chromium.
 * Must run before Dawn is loaded, and does nothing where the user chose a driver.
 */
function chooseVulkanDriver(): void {
  // Vulkan's loader complains on standard error when there is none.
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
  const { VK_ICD_FILENAMES, VK_DRIVER_FILES } = process.env;
  if (VK_ICD_FILENAMES || VK_DRIVER_FILES || hasGpu()) return;
  const manifest = findSwiftShader();
  if (manifest) process.env.VK_ICD_FILENAMES = manifest;
}

/** Path of a driver manifest for the SwiftShader beside Chromium; one is written if there is only the library. */
function findSwiftShader(): string | undefined {
  for (const folder of chromiumFolders()) {
    const manifest = join(folder, "vk_swiftshader_icd.json");
    if (existsSync(manifest)) return manifest;
    const library = join(folder, "libvk_swiftshader.so");
    if (existsSync(library)) return writeManifest(library);
  }
  return undefined;
}

function chromiumFolders(): string[] {
  const chromium = findChromium();
  const beside = existsSync(chromium) ? [dirname(realpathSync(chromium))] : [];
  // Debian's and Fedora's /usr/bin/chromium is a script.
  return [
    ...beside,
    "/usr/lib/chromium",
    "/usr/lib/chromium-browser",
    "/usr/lib64/chromium-browser",
  ];
}

function writeManifest(library: string): string {
  const id = createHash("sha256").update(library).digest("hex").slice(0, 12);
  const manifest = join(tmpdir(), `sluice-swiftshader-${id}.json`);
  const ICD = { library_path: library, api_version: "1.0.5" };
  writeFileSync(manifest, JSON.stringify({ file_format_version: "1.0.0", ICD }));
  return manifest;
}
