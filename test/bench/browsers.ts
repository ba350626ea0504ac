import { chromium as playwrightChromium } from "playwright-core";
import { launch } from "puppeteer-core";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";
import { FIREFOX_PREFS, findFirefox } from "../../tools/browsers/firefox.ts";

/** A page of a browser of its own, as far as measurements use it. */
export interface BenchPage {
  /** What an expression gives there; of a promise, what it resolves with. */
  evaluate(expression: string): Promise<unknown>;
  waitForFunction(expression: string): Promise<unknown>;
  /** Ends the browser. */
  close(): Promise<void>;
}

/** How each browser that measurements run in opens a page, headless and with WebGPU. */
export const browsers = {
  async chromium(url: string): Promise<BenchPage> {
    const browser = await playwrightChromium.launch({
      executablePath: findChromium(),
      args: [...CHROMIUM_ARGS],
    });
    return pageOf(await browser.newPage(), url, () => browser.close());
  },

  async firefox(url: string): Promise<BenchPage> {
    const browser = await launch({
      browser: "firefox",
      executablePath: findFirefox(),
      headless: true,
      extraPrefsFirefox: { ...FIREFOX_PREFS },
      protocolTimeout: 600_000,
    });
    return pageOf(await browser.newPage(), url, () => browser.close());
  },
} as const;

async function pageOf(
  page: Omit<BenchPage, "close"> & { goto(url: string): Promise<unknown> },
  url: string,
  close: BenchPage["close"],
): Promise<BenchPage> {
  await page.goto(url);
  return {
    evaluate: (expression) => page.evaluate(expression),
    waitForFunction: (expression) => page.waitForFunction(expression),
    close,
  };
}
