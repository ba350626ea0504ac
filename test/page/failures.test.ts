import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveFile } from "../helpers/file-server.ts";
import { partNames, splitGguf } from "../helpers/gguf-layouts.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { type DemoServer, serveDemo } from "./demo-server.ts";

/** The page's scripts as the build names them. */
const MAIN = /assets\/index-[^/]*\.js/;
const WORKER = /assets\/worker-[^/]*\.js/;

let server: DemoServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([serveDemo(), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

function open(options?: BrowserContextOptions, prepare?: (page: Page) => Promise<unknown>) {
  return ChatPage.open(browser, server.url, options, prepare);
}

describe("without what the page needs", () => {
  test("no WebGPU is a sentence that says what to do", async () => {
    const plain = await launchChromium({ args: ["--no-sandbox", "--disable-gpu"] });
    try {
      await using chat = await ChatPage.open(plain, server.url);

      const alert = await chat.alert();

      expect(alert).toContain("gives the page no GPU");
      expect(alert).toContain("WebGPU");
      await chat.page.getByRole("button", { name: "Try again" }).waitFor();
      expect(await chat.page.locator("#status-text").textContent()).toBe("Not running");
    } finally {
      await plain.close();
    }
  });

  test("a worker that does not load is a sentence, and can be restarted", async () => {
    await using chat = await open({}, (page) =>
      page.route(WORKER, (route) => route.abort(), { times: 1 }),
    );

    expect(await chat.alert()).toContain("The engine stopped.");
    await chat.press("Restart the engine");

    await chat.ready();
  });

  test("modules that do not load are a sentence", async () => {
    await using chat = await open({}, (page) => page.route(MAIN, (route) => route.abort()));

    await chat.page.locator("#boot-failure").waitFor({ state: "visible" });
    expect(await chat.page.locator("#boot-failure").textContent()).toContain("could not start");
  });

  test("a module that throws is a sentence", async () => {
    await using chat = await open({}, (page) =>
      page.route(MAIN, (route) =>
        route.fulfill({ contentType: "text/javascript", body: "throw new Error('boom');" }),
      ),
    );

    await chat.page.locator("#boot-failure").waitFor({ state: "visible" });
  });

  test("no JavaScript is a sentence", async () => {
    await using chat = await open({ javaScriptEnabled: false });

    await chat.page.locator("noscript .notice").waitFor({ timeout: 5000 });
  });
});

describe("a model that cannot be loaded", () => {
  test("a broken file is a sentence, and the model before it stays", async () => {
    await using chat = await open();
    await chat.ready();
    await chat.setGreedy(4);
    await chat.ask("Hello.");
    const reply = await chat.reply();

    await chat.drop("notes.gguf", new TextEncoder().encode("These are my notes. ".repeat(50)));

    expect(await chat.alert()).toContain("not a GGUF file");
    expect(await chat.lastText()).toBe(reply);
    expect(await chat.alert()).toContain("is still loaded");
    await chat.ask("And again.");
    await chat.ready();
    expect(await chat.page.locator(".turn").count()).toBe(4);
  });

  test("an address without a file is a sentence", async () => {
    await using files = await serveFile(new Uint8Array(10), { statuses: [404, 404, 404] });
    await using chat = await open();
    await chat.ready();

    await chat.loadUrl(files.url);

    expect(await chat.alert()).toContain("A file is missing");
  });

  test("a host that is not there is a sentence", async () => {
    await using chat = await open();
    await chat.ready();

    await chat.loadUrl("http://127.0.0.1:9/model.gguf");

    expect(await chat.alert()).toContain("could not be fetched");
  });

  test("a file that ends too early is a sentence", async () => {
    await using chat = await open();
    await chat.ready();
    const whole = tinyModel({ architecture: "smallthinker" });

    await chat.drop("half.gguf", whole.subarray(0, whole.length / 2));

    expect(await chat.alert()).toContain("ends too early");
  });

  test("a slow load shows its steps and can be cancelled", async () => {
    await using files = await serveFile(tinyModel({ architecture: "olmoe" }), { delayMs: 700 });
    await using chat = await open();
    await chat.ready();

    await chat.loadUrl(files.url);
    await chat.page.locator("#loading").getByText("Header").waitFor();
    await chat.press("Cancel");

    await chat.ready();
    expect(await chat.page.locator("#status-text").textContent()).toContain("Sluice Small");
    await chat.setGreedy(4);
    await chat.ask("Hello.");
    await chat.ready();
  });
});

describe("other models", () => {
  test("are loaded from an address by ranges, and from a dropped file", async () => {
    const model = tinyModel({ architecture: "olmoe", layers: 2, experts: 8, topK: 2 });
    await using files = await serveFile(model);
    await using chat = await open();
    await chat.ready();

    await chat.loadUrl(files.url);
    await chat.page.getByText("olmoe", { exact: true }).waitFor();
    await chat.filled();
    expect(files.requests).toBeGreaterThan(2);

    await chat.drop("mine.gguf", tinyModel({ architecture: "qwen3moe" }));
    await chat.page.getByText("qwen3moe", { exact: true }).waitFor();
    await chat.ready();
    await chat.setGreedy(4);
    await chat.ask("x");
    await chat.ready();
  });

  test("are loaded from the dropped files of a split one; a missing one is named", async () => {
    const parts = await splitGguf(tinyModel({ architecture: "qwen3moe" }), [3, 9, 100]);
    const names = partNames("mine", 3);
    const files = names.map((name, index) => ({ name, bytes: parts[index]! }));
    await using chat = await open();
    await chat.ready();

    await chat.dropAll(files.slice(1));
    expect(await chat.alert()).toContain("mine-00001-of-00003.gguf is missing");

    await chat.dropAll(files.toReversed());
    await chat.page.getByText("qwen3moe", { exact: true }).waitFor({ state: "attached" });
    await chat.ready();
  });

  test("a conversation that is too long is a sentence, and a new chat keeps the question", async () => {
    await using chat = await open();
    await chat.ready();
    await chat.drop("short.gguf", tinyModel({ architecture: "smallthinker", contextTokens: 16 }));
    await chat.page.getByText("16 tokens", { exact: true }).waitFor({ state: "attached" });
    await chat.ready();
    const question = "This is far more than sixteen tokens of the tiny vocabulary of this model.";

    await chat.page.getByLabel("Your message").fill(question);
    await chat.page.getByLabel("Your message").press("Enter");

    expect(await chat.alert()).toContain("as long as the model can read");
    await chat.page.locator("#alert").getByRole("button", { name: "New chat" }).click();
    expect(await chat.page.getByLabel("Your message").inputValue()).toBe(question);
    expect(await chat.page.locator("#alert").textContent()).toBe("");
    await chat.ready();
  });
});

describe("while it runs", () => {
  test("a worker that fails is a sentence; restarted, it goes on with the conversation", async () => {
    await using chat = await open();
    await chat.ready();
    await chat.setGreedy(4);
    await chat.ask("Hello.");
    const reply = await chat.reply();

    await chat.page.workers()[0]?.evaluate(() => {
      setTimeout(() => {
        throw new Error("boom");
      });
    });
    await chat.page.waitForTimeout(200);
    await chat.page.getByLabel("Your message").fill("Are you there?");
    await chat.page.getByLabel("Your message").press("Enter");

    expect(await chat.alert()).toContain("The engine stopped.");
    expect(await chat.page.getByLabel("Your message").inputValue()).toBe("Are you there?");
    await chat.press("Restart the engine");
    await chat.ready();
    expect(await chat.lastText()).toBe(reply);
    await chat.page.getByLabel("Your message").press("Enter");
    await chat.page.locator(".turn").nth(3).waitFor();
    await chat.ready();
  });

  test("a lost GPU is a sentence; the model can be loaded again", async () => {
    const own = await launchChromium();
    try {
      await using chat = await ChatPage.open(own, server.url);
      await chat.filled();
      await chat.setGreedy(4);
      await chat.ask("Hello.");
      const reply = await chat.reply();

      const protocol = await own.newBrowserCDPSession();
      await protocol.send("Browser.crashGpuProcess").catch(() => {}); // it cannot answer any more
      await chat.page.getByLabel("Your message").fill("Are you there?");
      await chat.page.getByLabel("Your message").press("Enter");

      expect(await chat.alert()).toContain("Your conversation is kept");
      await chat.page.getByRole("button", { name: /Reload the model|Restart the engine/ }).click();
      await chat.ready();
      expect(await chat.lastText()).toBe(reply);
    } finally {
      await own.close();
    }
  });
});
