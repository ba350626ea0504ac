import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveFile } from "../helpers/file-server.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { type DemoServer, serveDemo } from "./demo-server.ts";

const MODEL = tinyModel({ architecture: "olmoe", layers: 2, experts: 8, topK: 2 });
const NAME = "tiny olmoe";
const BUNDLED = "Sluice Small";

/** Two cores may be busy with a browser each. */
const SLOW = { timeout: 30_000 };

let server: DemoServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([serveDemo(), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.[Symbol.asyncDispose]();
});

/** What is kept, a text for each model, the last used first. */
function listed(chat: ChatPage): Promise<string[]> {
  return chat.page.locator("#kept-list li").allInnerTexts();
}

/** A page with the panel open that has loaded the bundled model, and then the one at `url`. */
async function openWithTwo(url: string): Promise<ChatPage> {
  const chat = await ChatPage.open(browser, server.url);
  await chat.filled();
  await chat.loadUrl(url);
  await chat.page.getByText("olmoe", { exact: true }).waitFor();
  await chat.filled();
  await chat.unfold("storage-block");
  await expect.poll(() => listed(chat), SLOW).toHaveLength(2);
  return chat;
}

describe("what is kept on this device", () => {
  test("is listed, with what it takes and whether it is whole", async () => {
    await using files = await serveFile(MODEL);
    await using chat = await openWithTwo(files.url);

    await expect
      .poll(async () => (await listed(chat))[0], SLOW)
      .toMatch(/^tiny olmoe\s+[\d.]+\sMB for a file of [\d.]+\sMB, all 16 experts, in use now/);
    expect((await listed(chat))[1]).toMatch(
      /^Sluice Small[\s\S]*all 192 experts, last used just now/,
    );
    expect(await chat.page.locator("#kept-summary").textContent()).toMatch(/^2 models, /);
    expect(await chat.page.locator("#quota").textContent()).toMatch(/used of the .*B that/);

    await chat.press(`Verify ${NAME}`);
    const answer = chat.page.locator("#kept-answer");
    await expect
      .poll(() => answer.textContent(), SLOW)
      .toMatch(/^tiny olmoe: \d+ pieces checked, all whole\.$/);
    expect(chat.errors).toEqual([]);
  });

  test("is deleted when someone says so twice, by keyboard, with the focus in its place", async () => {
    await using files = await serveFile(MODEL);
    await using chat = await openWithTwo(files.url);
    const { keyboard } = chat.page;
    const focused = () => chat.page.evaluate(() => document.activeElement?.textContent);

    await chat.page.getByRole("button", { name: `Delete ${BUNDLED}` }).focus();
    await keyboard.press("Enter");
    expect(await focused()).toBe("Keep");
    await keyboard.press("Enter");
    expect(await focused()).toBe("Delete");
    expect(await listed(chat)).toHaveLength(2);

    await keyboard.press("Enter");
    await keyboard.press("Shift+Tab");
    expect(await focused()).toMatch(/^Delete [\d.]+\sMB$/);
    await keyboard.press("Enter");
    await expect.poll(() => listed(chat), SLOW).toHaveLength(1);
    expect((await listed(chat))[0]).toContain(NAME);
    expect(await chat.page.locator("#kept-answer").textContent()).toMatch(
      /^Sluice Small is deleted: [\d.]+\sMB are free again\.$/,
    );
    expect(await focused()).toContain("Kept on this device");
  });

  test("cannot be deleted while it is loaded, and says why", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.unfold("storage-block");
    const remove = chat.page.getByRole("button", { name: `Delete ${BUNDLED}` });
    await remove.waitFor();

    expect(await remove.isDisabled()).toBe(true);
    const reason = await remove.getAttribute("aria-describedby");
    expect(await chat.page.locator(`#${reason}`).textContent()).toContain("It is loaded");

    // As when another tab loads it after this list was made.
    await remove.evaluate((button: HTMLButtonElement) => {
      button.disabled = false;
    });
    await remove.click();
    await chat.page.getByRole("button", { name: /^Delete [\d.]+\sMB/ }).click();

    expect(await chat.alert()).toContain("Sluice Small could not be deleted.");
    expect(await chat.alert()).toContain("This model is loaded, here or in another tab.");
    await chat.ask("Hello.");
    await chat.reply();
  });

  test("is nothing once a file of this device is loaded and the rest deleted", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.unfold("storage-block");
    await chat.drop("mine.gguf", MODEL);
    await chat.page.getByText("olmoe", { exact: true }).waitFor({ state: "attached" });
    await chat.ready();

    const remove = chat.page.getByRole("button", { name: `Delete ${BUNDLED}` });
    await expect.poll(() => remove.isEnabled(), SLOW).toBe(true);
    await remove.click();
    await chat.page.getByRole("button", { name: /^Delete [\d.]+\sMB/ }).click();

    await chat.page.getByText("Nothing is kept yet.").waitFor();
    expect(await chat.page.locator("#kept-summary").textContent()).toBe("Nothing yet");
  });

  test("is loaded without its host after the page was reloaded", async () => {
    await using files = await serveFile(MODEL);
    await using chat = await openWithTwo(files.url);
    await expect.poll(async () => (await listed(chat))[0], SLOW).toContain("all 16 experts");

    files.goOffline();
    await chat.page.reload();
    await chat.filled();
    await chat.loadUrl(files.url);
    await chat.page.getByText("olmoe", { exact: true }).waitFor();
    await chat.filled();
    await chat.setGreedy(4);
    await chat.ask("x");
    await chat.reply();

    expect(chat.errors).toEqual([]);
  });
});

test("a device that is offline is told of, and goes on with what is kept", async () => {
  await using chat = await ChatPage.open(browser, server.url);
  const { page } = chat;
  const offline = page.locator("#offline");
  await chat.filled();
  await expect.poll(() => page.locator("#disk-bytes").textContent(), SLOW).toMatch(/^(.+) of \1$/);
  expect(await offline.textContent()).toBe("");

  await page.context().setOffline(true);

  await expect.poll(() => offline.textContent(), SLOW).toContain("This device is offline.");
  await chat.setGreedy(4);
  await chat.unfold("load-settings");
  await chat.press("Load the model again");
  await chat.filled();
  await chat.ask("Hello.");
  expect(await chat.reply()).not.toBe("");
  await page.context().setOffline(false);
  await expect.poll(() => offline.textContent(), SLOW).toBe("");
});

describe("the browser's answer", () => {
  test.for([
    [true, "will keep these models"],
    [false, "did not agree"],
  ] as const)("%s is a sentence", async ([agreed, text]) => {
    await using chat = await ChatPage.open(browser, server.url, {}, (page) =>
      page.addInitScript((agreed) => {
        navigator.storage.persist = async () => agreed;
      }, agreed),
    );
    await chat.ready();
    await chat.unfold("storage-block");

    await chat.press("Ask the browser to keep it");

    await chat.page.locator("#kept-answer", { hasText: text }).waitFor();
  });
});
