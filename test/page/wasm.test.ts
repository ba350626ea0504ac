import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHROMIUM_ARGS } from "../../tools/browsers/chromium.ts";
import { type BundledReply, bundledReply } from "../helpers/bundled-oracle.ts";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { type DemoServer, startDemo } from "./demo-server.ts";

const STORY = "Tell me a story about a fox and a lantern.";
const REPLY_TOKENS = 48;

/** There is `navigator.gpu` then, but no adapter. */
const WITHOUT_GPU = ["--no-sandbox", "--disable-gpu"];

/** An address that browsers do not trust, as they do `localhost`: there is neither WebGPU nor shared memory nor storage. */
const PLAIN_HOST = "10.11.12.13";

let server: DemoServer;
let expected: BundledReply;

beforeAll(async () => {
  server = await startDemo();
  expected = await bundledReply(STORY, REPLY_TOKENS);
  // Otherwise little of a reply would be compared.
  expect(expected.sureTokens).toBeGreaterThan(REPLY_TOKENS / 2);
});

afterAll(() => server?.[Symbol.asyncDispose]());

/** Compares as far as llama.cpp is sure. */
function expectLikeLlama(reply: string): void {
  if (expected.isWhole) expect(reply).toBe(expected.sure);
  else expect(reply.slice(0, expected.sure.length)).toBe(expected.sure);
}

describe("the chat page in Chromium without a GPU", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium({ args: WITHOUT_GPU });
  });

  afterAll(() => browser?.close());

  test("streams what llama.cpp says, and tells why it runs in WebAssembly", async () => {
    await using chat = await ChatPage.open(browser, server.plainUrl);
    await chat.filled();
    await chat.setGreedy(REPLY_TOKENS);

    await chat.ask(STORY);
    const reply = await chat.reply();

    expectLikeLlama(reply);
    expect(await chat.page.locator("#runtime-note").textContent()).toMatch(
      /^Runs in WebAssembly \(\d threads?\): this browser has WebGPU but no adapter for it\.$/,
    );
    expect(await chat.page.locator("#status-text").textContent()).toContain("WebAssembly");
    expect(chat.errors).toEqual([]);
  });

  test("gives and takes memory during a reply without changing a word", async () => {
    await using chat = await ChatPage.open(browser, server.plainUrl);
    await chat.filled();
    await chat.setGreedy(REPLY_TOKENS);

    await chat.ask(STORY);
    await expect.poll(() => chat.lastText(), { timeout: 30_000 }).not.toBe("");
    await chat.pressSlider("ready to compute", "Home");
    const reply = await chat.reply();

    expectLikeLlama(reply);
    expect(await chat.page.locator("#share-problem").textContent()).toBe("");
    const held = await chat.page.locator("#resident").textContent();
    expect(held).not.toMatch(/^(\d+) of \1$/);
    await chat.press("New chat");
    await chat.ask(STORY);
    expect(await chat.reply()).toBe(reply);
    expect(Number((await chat.figure("Misses")).replace(",", ""))).toBeGreaterThan(0);
  });

  test("says what it computes from in its own words", async () => {
    await using chat = await ChatPage.open(browser, server.plainUrl);
    await chat.filled();

    const text = (await chat.page.locator("#panel > section").allTextContents()).join("\n");

    expect(text).toContain("Share of the experts kept ready to compute");
    expect(text).not.toMatch(/\bGPU\b/);
  });

  test("says what to do where WebGPU is asked for, and runs when something else is chosen", async () => {
    await using chat = await ChatPage.open(browser, server.url);

    expect(await chat.alert()).toContain("WebGPU was asked for and is not here");
    await chat.choose("What computes", "WebAssembly");
    await chat.press("Try again");
    await chat.ready();

    expect(new URL(chat.page.url()).searchParams.get("runtime")).toBe("onnx");
    expect(await chat.page.locator("#runtime-note").textContent()).toContain("it was asked for");
  });
});

test("over plain HTTP the chat page computes in one thread, and keeps nothing", async () => {
  const mapped = `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`;
  const browser = await launchChromium({ args: [...CHROMIUM_ARGS, mapped] });
  try {
    const url = server.plainUrl.replace("127.0.0.1", PLAIN_HOST);
    await using chat = await ChatPage.open(browser, url);
    await chat.filled();
    await chat.setGreedy(REPLY_TOKENS);

    await chat.ask(STORY);

    expectLikeLlama(await chat.reply());
    expect(await chat.page.evaluate(() => typeof navigator.gpu)).toBe("undefined");
    expect(await chat.page.locator("#runtime-note").textContent()).toBe(
      "Runs in WebAssembly (1 thread): this browser has no WebGPU.",
    );
    expect(await chat.page.locator("#disk-bytes").textContent()).toBe("nothing");
  } finally {
    await browser.close();
  }
});

describe("the chat page on WebGPU", () => {
  test("never asks for the files of WebAssembly", async () => {
    const browser = await launchChromium();
    try {
      const urls: string[] = [];
      await using chat = await ChatPage.open(browser, server.url, {}, async (page) => {
        page.context().on("request", (request) => urls.push(request.url()));
      });
      await chat.filled();

      expect(await chat.page.locator("#runtime-note").textContent()).toContain("Runs on WebGPU");
      expect(urls.some((url) => url.includes("chat/worker"))).toBe(true);
      expect(urls.filter((url) => /ort[.-]wasm|onnxruntime/.test(url))).toEqual([]);
    } finally {
      await browser.close();
    }
  });

  test("gives way to WebAssembly where only a software adapter is behind it", async () => {
    const browser = await launchChromium();
    try {
      await using chat = await ChatPage.open(browser, server.plainUrl);
      await chat.filled();

      expect(await chat.page.locator("#runtime-note").textContent()).toMatch(
        /^Runs in WebAssembly \(\d+ threads?\): the adapter .* runs on the processor/,
      );
    } finally {
      await browser.close();
    }
  });
});
