import type { Page } from "playwright-core";

/** Where the worker keeps what timing found: see `src/engine/tuning/kept.ts`. */
const FILE = "sluice-variants.json";

let known: string | undefined;

/** Remembers what the page's worker found to be fastest, for {@link restoreTunings}. */
export async function rememberTunings(page: Page): Promise<void> {
  known ??= await page
    .evaluate(async (name) => {
      const folder = await navigator.storage.getDirectory();
      return (await (await folder.getFileHandle(name)).getFile()).text();
    }, FILE)
    // A page that never loaded a model, or may not store anything, has found nothing.
    .catch(() => undefined);
}

/**
 * Gives the site at `url` what was remembered, as if this were not the first visit: timing kernels takes seconds, which
 * the first page of a test file waits for, and no other one.
 */
export async function restoreTunings(page: Page, url: string): Promise<void> {
  if (known === undefined) return;
  const blank = new URL("/blank", url).href;
  await page.route(blank, (route) => route.fulfill({ contentType: "text/html", body: "" }));
  await page.goto(blank);
  await page.evaluate(
    async ({ name, text }) => {
      const folder = await navigator.storage?.getDirectory();
      const writable = await (
        await folder?.getFileHandle(name, { create: true })
      )?.createWritable();
      await writable?.write(text);
      await writable?.close();
    },
    { name: FILE, text: known },
  );
  await page.unroute(blank);
}
