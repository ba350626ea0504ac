import { defineBrowserProvider } from "@vitest/browser";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { FIREFOX_PREFS, findFirefox } from "./firefox.ts";

const NAME = "puppeteer-firefox";

/**
 * Runs Vitest's browser mode in an installed Firefox through WebDriver BiDi.
 *
 * Playwright drives only its own build of Firefox, which is not to be had from a package registry.
 * The browser picks its own port and profile, so runs at the same time do not meet.
 */
export const firefox = defineBrowserProvider({
  name: NAME,
  supportedBrowser: ["firefox"],
  providerFactory() {
    const pages = new Map<string, Page>();
    let launched: Promise<Browser> | undefined;

    return {
      name: NAME,
      supportsParallelism: false,
      getCommandsContext: (sessionId) => ({ page: pages.get(sessionId) }),
      async openPage(sessionId, url) {
        launched ??= launchFirefox();
        const page = await (await launched).newPage();
        pages.set(sessionId, page);
        await page.goto(url);
      },
      async close() {
        const browser = await launched?.catch(() => undefined);
        await browser?.close();
      },
    };
  },
});

function launchFirefox(): Promise<Browser> {
  return puppeteer.launch({
    browser: "firefox",
    executablePath: findFirefox(),
    headless: true,
    extraPrefsFirefox: FIREFOX_PREFS,
  });
}
