import type { Browser, JSHandle } from "playwright-core";

/** The functions that a page at `url` puts into its global `bench`, once they are there. */
export async function openBench<Bench>(browser: Browser, url: string): Promise<JSHandle<Bench>> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => "bench" in globalThis);
  return page.evaluateHandle(() => (globalThis as unknown as { bench: Bench }).bench);
}
