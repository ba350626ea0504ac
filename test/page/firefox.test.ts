import puppeteer from "puppeteer-core";
import { expect, test } from "vitest";
import { FIREFOX_PREFS, findFirefox } from "../../tools/browsers/firefox.ts";
import { startDemo } from "./demo-server.ts";

test("the chat page loads its model and replies in Firefox, with any share of the memory", async () => {
  await using server = await startDemo();
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: findFirefox(),
    headless: true,
    extraPrefsFirefox: FIREFOX_PREFS,
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(180_000);
    await page.setViewport({ width: 1280, height: 900 });
    const ready = async () => {
      await page.waitForSelector('#status[data-tone="good"], #alert .failure');
      expect(await page.$$eval("#alert p", (all) => all.map((p) => p.textContent))).toEqual([]);
    };
    const ask = async (text: string) => {
      await page.type("#prompt", text);
      await page.keyboard.press("Enter");
      await page.waitForSelector('#status[data-tone="busy"]');
      await ready();
      return await page.$$eval(".turn.assistant .text", (all) => all.at(-1)?.textContent ?? "");
    };
    await page.goto(server.url);
    await ready();
    await page.waitForSelector("#loading", { hidden: true });
    await page.click("#settings-block > summary");
    for (const [field, value] of [
      ["#temperature", "0"],
      ["#max-tokens", "16"],
    ] as const) {
      await page.click(field, { count: 3 });
      await page.type(field, value);
    }

    const full = await ask("Tell me a story about a fox and a lantern.");
    await page.click("#new-chat");
    await page.focus("#share");
    await page.keyboard.press("Home");
    await page.focus("#prompt");
    const least = await ask("Tell me a story about a fox and a lantern.");

    expect(full).not.toBe("");
    expect(least).toBe(full);
    const overflowPx = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflowPx).toBeLessThanOrEqual(0);
  } finally {
    await browser.close();
  }
});
