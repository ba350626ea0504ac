import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { type DemoServer, serveDemo } from "./demo-server.ts";
import { lowContrasts, smallTargets, unnamedControls } from "./page-checks.ts";

const PHONE = { width: 360, height: 740 };
const LONG_ADDRESS = `http://127.0.0.1:9/${"a-very-long-name-without-a-place-to-break".repeat(6)}.gguf`;

let server: DemoServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([serveDemo(), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

/** A page in which everything is shown: all parts open, a conversation, an alert. */
async function openEverything(chat: ChatPage): Promise<void> {
  await chat.ready();
  await chat.setGreedy(4);
  await chat.ask("Hello.");
  await chat.ready();
  await chat.page.evaluate(() => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
  await chat.loadUrl(LONG_ADDRESS);
  await chat.alert();
  await chat.page.getByRole("button", { name: "Verify Sluice Small" }).waitFor();
}

describe.for(["light", "dark"] as const)("in the %s scheme", (colorScheme) => {
  test("texts stand out, and everything to press has a name and is large enough", async () => {
    await using chat = await ChatPage.open(browser, server.url, { colorScheme });
    await openEverything(chat);

    expect(await chat.page.evaluate(lowContrasts)).toEqual([]);
    expect(await chat.page.evaluate(unnamedControls)).toEqual([]);
    expect(await chat.page.evaluate(smallTargets)).toEqual([]);
  });
});

describe("for a screen reader", () => {
  test("the page has its landmarks, one main heading and no repeated ids", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    const { page } = chat;

    expect(await page.getByRole("banner").count()).toBe(1);
    expect(await page.getByRole("main").count()).toBe(1);
    expect(await page.getByRole("complementary").count()).toBe(1);
    expect(await page.getByRole("heading", { level: 1 }).allTextContents()).toEqual(["Sluice"]);
    expect(await page.locator("html").getAttribute("lang")).toBe("en");
    const ids = await page.locator("[id]").evaluateAll((all) => all.map(({ id }) => id));
    expect(ids).toEqual([...new Set(ids)]);
  });

  test("a reply is told once, when it is whole", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.ready();
    await chat.setGreedy(6);
    await chat.page.evaluate(() => {
      const told: (string | null)[] = [];
      const live = document.querySelector("#live") as HTMLElement;
      new MutationObserver(() => told.push(live.textContent)).observe(live, { childList: true });
      Object.assign(window, { told });
    });

    await chat.ask("Hello.");
    const reply = await chat.reply();

    expect(await chat.page.evaluate(() => (window as { told?: unknown }).told)).toEqual([
      `Reply: ${reply}`,
    ]);
    expect(await chat.page.locator("#turns").getAttribute("aria-live")).toBeNull();
  });
});

describe("by keyboard alone", () => {
  test("the message box comes first by the skip link, and Escape leaves the panel", async () => {
    await using chat = await ChatPage.open(browser, server.url, { viewport: PHONE });
    await chat.ready();
    const { keyboard } = chat.page;
    const focused = () => chat.page.evaluate(() => document.activeElement?.id);

    await keyboard.press("Tab");
    await keyboard.press("Enter");
    expect(await focused()).toBe("prompt");

    await chat.page.locator("#panel-toggle").focus();
    await keyboard.press("Enter");
    expect(await chat.page.getByRole("complementary").isVisible()).toBe(true);
    expect(await chat.page.getByRole("main").isVisible()).toBe(false);
    await keyboard.press("Tab");
    await keyboard.press("Escape");
    expect(await chat.page.getByRole("main").isVisible()).toBe(true);
    expect(await focused()).toBe("panel-toggle");
  });

  test("the map tells each expert", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    const map = chat.page.getByRole("application");

    await map.focus();
    for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "ArrowLeft", "ArrowLeft"]) {
      await map.press(key);
    }

    // An expert that came last still arrives until the next look.
    await expect
      .poll(() => chat.page.locator("#map-readout").textContent(), { timeout: 10_000 })
      .toBe("Layer 1, expert 0: on the GPU, never used.");
  });

  test("focus is visible", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.ready();

    const bare: string[] = [];
    for (let stops = 0; stops < 40; stops++) {
      await chat.page.keyboard.press("Tab");
      const { id, outline } = await chat.page.evaluate(() => {
        const focused = document.activeElement as HTMLElement;
        const shown = focused.closest(".composer") ?? focused;
        return { id: focused.id || focused.tagName, outline: getComputedStyle(shown).outlineStyle };
      });
      if (id === "BODY") break; // past the last one
      if (outline === "none") bare.push(id);
    }
    expect(bare).toEqual([]);
  });
});

describe("on a phone", () => {
  test("nothing is wider than the screen, whatever is shown", async () => {
    await using chat = await ChatPage.open(browser, server.url, {
      viewport: PHONE,
      hasTouch: true,
    });
    expect(await chat.overflowPx()).toBeLessThanOrEqual(0);
    expect(await chat.page.getByRole("complementary").isVisible()).toBe(false);
    await chat.ready();

    await chat.page.locator("#panel-toggle").click();
    await chat.setGreedy(4);
    expect(await chat.overflowPx()).toBeLessThanOrEqual(0);
    await chat.page.locator("#panel-toggle").click();
    await chat.ask("w".repeat(200));
    await chat.ready();
    expect(await chat.overflowPx()).toBeLessThanOrEqual(0);

    await chat.page.locator("#panel-toggle").click();
    for (const id of ["lower-block", "storage-block"]) await chat.unfold(id);
    await chat.page.getByRole("button", { name: "Verify Sluice Small" }).waitFor();
    await chat.loadUrl(LONG_ADDRESS);
    await chat.alert();
    expect(await chat.overflowPx()).toBeLessThanOrEqual(0);
    expect(await chat.page.evaluate(smallTargets)).toEqual([]);
  });

  test("the message box stays in sight", async () => {
    await using chat = await ChatPage.open(browser, server.url, { viewport: PHONE });
    await chat.ready();

    const box = await chat.page.locator("#composer").boundingBox();

    expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(PHONE.height);
  });
});

test("nothing moves for who asked for that", async () => {
  await using chat = await ChatPage.open(browser, server.url, { reducedMotion: "reduce" });
  await chat.ready();
  await chat.ask("Hello.");

  const moving = await chat.page.evaluate(() => document.getAnimations().length);

  expect(moving).toBe(0);
});
