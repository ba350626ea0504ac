import { findExecutable, windowsPaths } from "./find.ts";

/**
 * What {@link findChromium} answers where there is no Chrome and no Chromium. It names no file, so
 * that a launch fails with this sentence in its message, and a run that needs no browser goes on.
 */
export const CHROMIUM_MISSING =
  "no Chrome or Chromium was found: run `npm run setup`, or set CHROMIUM to its path";

/** Flags that give a page WebGPU on the machine's own GPU. */
const REAL_GPU_ARGS: readonly string[] = [
  "--ignore-gpu-blocklist",
  // Chromium on Linux offers WebGPU only where it draws with Vulkan; headless it has no surface.
  ...(process.platform === "linux"
    ? ["--enable-features=Vulkan", "--use-angle=vulkan", "--disable-vulkan-surface"]
    : []),
];

/**
 * Flags that give a headless page WebGPU: on SwiftShader, or on the machine's GPU where
 * `SLUICE_WEBGPU_ADAPTER` is `default`. No sandbox: it does not start for root, as in a container.
 */
export const CHROMIUM_ARGS: readonly string[] = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  ...(process.env.SLUICE_WEBGPU_ADAPTER === "default"
    ? REAL_GPU_ARGS
    : ["--use-webgpu-adapter=swiftshader"]),
];

/** Path of Chromium or Chrome: `CHROMIUM`, or the usual places, or {@link CHROMIUM_MISSING}. */
export function findChromium(): string {
  return process.env.CHROMIUM ?? findExecutable(PLACES) ?? CHROMIUM_MISSING;
}

const PLACES = {
  names: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"],
  paths: {
    linux: ["/opt/google/chrome/chrome", "/snap/bin/chromium"],
    darwin: [
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    win32: [
      ...windowsPaths("Google\\Chrome\\Application\\chrome.exe"),
      ...windowsPaths("Chromium\\Application\\chrome.exe"),
    ],
  },
};
