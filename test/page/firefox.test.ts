import puppeteer from "puppeteer-core";
import { expect, test } from "vitest";
import { usualThreads } from "../../src/engine/onnx/experts/thread-count.ts";
import { FIREFOX_PREFS, findFirefox } from "../../tools/browsers/firefox.ts";
import { bundledReply } from "../helpers/bundled-oracle.ts";
import { startDemo } from "./demo-server.ts";

const STORY = "Tell me a story about a fox and a lantern.";
const REPLY_TOKENS = 16;

/** Firefox on Linux has no WebGPU unless a preference asks for it. */
const CASES = [
  { runtime: "WebGPU", prefs: FIREFOX_PREFS, address: "url", note: "Runs on WebGPU:" },
  {
    runtime: "WebAssembly",
    prefs: {},
    address: "plainUrl",
    note: "this browser has no WebGPU.",
  },
] as const;

test.for(CASES)(
  "the chat page replies in Firefox in $runtime as llama.cpp does, with any share of the memory",
  async ({ prefs, address, note }) => {
    const expected = await bundledReply(STORY, REPLY_TOKENS);
    await using server = await startDemo();
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: findFirefox(),
      headless: true,
      extraPrefsFirefox: prefs,
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
      await page.goto(server[address]);
      await ready();
      await page.waitForSelector("#loading", { hidden: true });
      await page.click("#settings-block > summary");
      for (const [field, value] of [
        ["#temperature", "0"],
        ["#max-tokens", String(REPLY_TOKENS)],
      ] as const) {
        await page.click(field, { count: 3 });
        await page.type(field, value);
      }

      const full = await ask(STORY);
      await page.click("#new-chat");
      await page.focus("#share");
      await page.keyboard.press("Home");
      await page.focus("#prompt");
      const least = await ask(STORY);

      expect(full.slice(0, expected.sure.length)).toBe(expected.sure);
      expect(expected.sureTokens).toBeGreaterThan(REPLY_TOKENS / 2);
      const told = (await page.$eval("#runtime-note", (p) => p.textContent)) ?? "";
      expect(told).toContain(note);
      if (told.includes("WebAssembly")) {
        const cores = await page.evaluate(() => navigator.hardwareConcurrency);
        expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
        expect(told).toContain(`(${usualThreads(cores)} thread`);
      }
      expect(least).toBe(full);
      const overflowPx = await page.evaluate(
        () => document.documentElement.scrollWidth - innerWidth,
      );
      expect(overflowPx).toBeLessThanOrEqual(0);
    } finally {
      await browser.close();
    }
  },
);
