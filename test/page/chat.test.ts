import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { type DemoServer, startDemo } from "./demo-server.ts";

const STORY = "Tell me a story about a fox and a lantern.";

let server: DemoServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([startDemo(), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

describe("the chat page", () => {
  test("loads the bundled model by itself, from its own host only", async () => {
    const hosts = new Set<string>();
    await using chat = await ChatPage.open(browser, server.url, {}, async (page) => {
      page.on("request", (request) => {
        if (!request.url().startsWith("data:")) hosts.add(new URL(request.url()).host);
      });
    });

    await chat.filled();

    expect([...hosts]).toEqual([new URL(server.url).host]);
    expect(await chat.page.locator("#status-text").textContent()).toContain("swiftshader");
    expect(await chat.page.locator("#resident").textContent()).toMatch(/^(\d+) of \1$/);
    expect(await chat.page.locator("#map-summary").textContent()).toMatch(/experts on the GPU/);
    expect(chat.errors).toEqual([]);
  });

  test("streams a reply, tells its figures, and copies it", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.ready();
    await chat.setGreedy(24);

    await chat.ask(STORY);
    await expect.poll(() => chat.lastText(), { timeout: 30_000 }).not.toBe("");
    const early = await chat.lastText();
    const reply = await chat.reply();

    expect(reply.startsWith(early)).toBe(true);
    const note = await chat.page.locator(".note").textContent();
    expect(note).toMatch(/^\d+ tokens?, [\d.]+ a second/);
    expect(await chat.page.locator("#live").textContent()).toBe(`Reply: ${reply}`);
    expect(await chat.page.locator("#numbers dd").first().textContent()).toMatch(/^[\d.]+$/);
    await chat.press("Copy");
    expect(await chat.page.evaluate(() => navigator.clipboard.readText())).toBe(reply);
    expect(chat.errors).toEqual([]);
  });

  test("shows a reply as text and not as markup", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.ready();
    await chat.setGreedy(1);

    await chat.ask("<img src=x onerror=alert(1)>");
    await chat.ready();

    expect(await chat.page.locator(".turn img").count()).toBe(0);
    expect(await chat.page.locator(".turn.user .text").textContent()).toContain("<img src=x");
  });

  test("stops at once and keeps what was written", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.ready();
    await chat.setGreedy(100_000);

    await chat.ask(STORY);
    await expect.poll(() => chat.lastText(), { timeout: 30_000 }).not.toBe("");
    await chat.press("Stop");
    await chat.ready();
    const text = await chat.lastText();

    expect(text).not.toBe("");
    expect(await chat.page.locator(".note").textContent()).toContain("stopped");
    await chat.page.waitForTimeout(300);
    expect(await chat.lastText()).toBe(text);
  });

  test("writes the same reply with the least memory as with all of it", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.setGreedy(48);
    await chat.ask(STORY);
    const full = await chat.reply();
    const used = async () => await chat.page.locator("#gpu-bytes").textContent();
    const fullBytes = await used();

    await chat.press("New chat");
    await chat.moveSlider("Home");
    await expect.poll(used, { timeout: 10_000 }).not.toBe(fullBytes);
    await chat.ask(STORY);
    const least = await chat.reply();

    expect(least).toBe(full);
    expect(Number((await chat.figure("Misses")).replace(",", ""))).toBeGreaterThan(0);

    await chat.press("New chat");
    await chat.moveSlider("End");
    await chat.ask(STORY);
    expect(await chat.reply()).toBe(full);
    await expect.poll(used, { timeout: 10_000 }).toBe(fullBytes);
  });

  test("changes the budget during a reply without changing a word", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.setGreedy(48);
    await chat.ask(STORY);
    const undisturbed = await chat.reply();

    await chat.press("New chat");
    await chat.ask(STORY);
    await expect.poll(() => chat.lastText(), { timeout: 30_000 }).not.toBe("");
    await chat.moveSlider("Home");

    expect(await chat.reply()).toBe(undisturbed);
    expect(await chat.page.locator("#share-problem").textContent()).toBe("");
  });

  test("keeps the conversation when the page is reloaded, until a new chat", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.ready();
    await chat.setGreedy(8);
    await chat.ask(STORY);
    const reply = await chat.reply();

    await chat.page.reload();

    await chat.ready();
    expect(await chat.lastText()).toBe(reply);
    await chat.press("New chat");
    expect(await chat.page.locator(".turn").count()).toBe(0);
    expect(await chat.page.locator("#welcome").isVisible()).toBe(true);
  });
});
