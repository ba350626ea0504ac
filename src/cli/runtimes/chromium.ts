import type { Job, JobHooks, PageAssets, ResultOf, Task } from "../job.ts";
import { expectBrowser, hasGpu, importTool } from "./driver.ts";
import { type OpenPage, runInPage } from "./page.ts";

/** Without it GPU timestamps are rounded to 100 µs. */
const PRECISE_TIMES = ["--enable-webgpu-developer-features"];

/** Runs the engine in a headless Chromium: on the GPU if there is one, on SwiftShader otherwise. */
export async function chromium<Work extends Task>(
  job: Job<Work>,
  hooks: JobHooks,
  assets: PageAssets,
): Promise<ResultOf<Work>> {
  // Read by the module below when it is imported.
  process.env.SLUICE_WEBGPU_ADAPTER ??= hasGpu() ? "default" : "swiftshader";
  const { CHROMIUM_ARGS, CHROMIUM_MISSING, findChromium } = await import(
    "../../../tools/browsers/chromium.ts"
  );
  const executablePath = expectBrowser(findChromium(), CHROMIUM_MISSING);
  const playwright = await importTool("playwright-core", () => import("playwright-core"));

  const open: OpenPage = async (url, { onLine, onGone }) => {
    const args = [...CHROMIUM_ARGS, ...(job.task.kind === "bench" ? PRECISE_TIMES : [])];
    const browser = await playwright.chromium.launch({ executablePath, args });
    browser.on("disconnected", () => onGone("Chromium ended"));
    const page = await browser.newPage();
    page.on("crash", () => onGone("The page crashed, as it does when memory runs out"));
    page.on("console", (message) => onLine(message.text()));
    await page.goto(url);
    return () => browser.close();
  };
  return runInPage(job, hooks, assets, open);
}
