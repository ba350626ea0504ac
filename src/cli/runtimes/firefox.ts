import { FIREFOX_MISSING, FIREFOX_PREFS, findFirefox } from "../../../tools/browsers/firefox.ts";
import type { Job, JobHooks, PageAssets, ResultOf, Task } from "../job.ts";
import { expectBrowser, importTool } from "./driver.ts";
import { type OpenPage, runInPage } from "./page.ts";

/** What wllama's WebGPU build needs and Firefox still keeps back. */
const PEER_PREFS = { "javascript.options.wasm_js_promise_integration": true };

/** Runs the engine in a headless Firefox, through WebDriver BiDi. */
export async function firefox<Work extends Task>(
  job: Job<Work>,
  hooks: JobHooks,
  assets: PageAssets,
): Promise<ResultOf<Work>> {
  const executablePath = expectBrowser(findFirefox(), FIREFOX_MISSING);
  const puppeteer = await importTool("puppeteer-core", () => import("puppeteer-core"));

  const open: OpenPage = async (url, { onLine, onGone }) => {
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath,
      headless: true,
      extraPrefsFirefox: { ...FIREFOX_PREFS, ...(job.task.kind === "peers" && PEER_PREFS) },
    });
    browser.on("disconnected", () => onGone("Firefox ended"));
    const page = await browser.newPage();
    page.on("console", (message) => onLine(message.text()));
    await page.goto(url);
    return () => browser.close();
  };
  return runInPage(job, hooks, assets, open);
}
