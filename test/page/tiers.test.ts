import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyModel } from "../helpers/tiny-models.ts";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { type DemoServer, serveDemo } from "./demo-server.ts";
import { filledShare } from "./page-checks.ts";

const STORY = "Tell me a story about a fox and a lantern.";

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

/** The first expert of layer 0 that the map says is in that state, by the arrow keys. */
async function findExpert(chat: ChatPage, state: string): Promise<number> {
  const map = chat.page.getByRole("application");
  await map.focus();
  for (let expert = 0; expert < 32; expert++) {
    await map.press("ArrowRight");
    const text = (await chat.page.locator("#map-readout").textContent()) ?? "";
    if (!text.includes(`: ${state}, `)) continue;
    await map.blur(); // which takes the frame around the cell away
    return Number(/expert (\d+)/.exec(text)?.[1]);
  }
  throw new Error(`no expert of layer 0 is ${state}`);
}

describe("the expert map", () => {
  test("tells and shows where every expert is", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    const summary = () => chat.page.locator("#map-summary").textContent();
    const settled = (text: string) => expect.poll(summary, SLOW).toContain(text);
    const shown = async (state: string) => {
      const expert = await findExpert(chat, state);
      return await chat.page.evaluate(filledShare, { expert, experts: 32, layers: 6 });
    };
    await chat.filled();
    await chat.moveSlider("Home");

    await settled("24 of 192 experts on the GPU in 6 layers, 168 in RAM;");
    expect(await shown("on the GPU")).toBe(1);
    // A block of 0.6 by 0.6; a cell is 9 pixels wide, and an edge may fall between two of them.
    expect(Math.abs(Math.sqrt(await shown("in RAM")) - 0.6)).toBeLessThan(1 / 9);

    await chat.pressSlider("in RAM", "Home");
    await settled("24 of 192 experts on the GPU in 6 layers, 168 on disk;");
    expect(await shown("on disk")).toBeCloseTo(0.2, 1);

    await chat.pressSlider("on disk", "Home");
    await settled("24 of 192 experts on the GPU in 6 layers, 168 only at the source;");
    expect(await shown("only at the source")).toBeCloseTo(0.06, 1);
    const cells = await chat.page.locator("#map-table tr").first().locator("td").allTextContents();
    expect(cells.slice(0, 4)).toEqual(["4", "0", "0", "28"]);
    expect(chat.errors).toEqual([]);
  });

  test("counts the hits and misses of the reply", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    const finds = () => chat.page.locator("#map-finds").textContent();
    await chat.filled();
    await chat.moveSlider("Home");
    await chat.setGreedy(24);
    expect(await finds()).toBe("");

    await chat.ask(STORY);
    await expect.poll(finds, SLOW).toMatch(/^This reply so far: \d+ hit/);
    await chat.reply();

    await expect.poll(finds, SLOW).toMatch(/^Last reply: /);
    const [hits, misses] = [await chat.figure("Hits"), await chat.figure("Misses")];
    expect(await finds()).toBe(`Last reply: ${hits} hits, ${misses} misses.`);
    expect(Number(misses.replace(",", ""))).toBeGreaterThan(0);
    expect(Number(await chat.figure("Loaded from RAM"))).toBeGreaterThan(0);
    expect(await chat.figure("Loaded from the source")).toBe("0");
  });
});

describe("the budgets", () => {
  test("of all tiers, changed during a reply, change no word of it", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.setGreedy(400);
    await chat.ask(STORY);
    const undisturbed = await chat.reply();

    const text = (id: string) => () => chat.page.locator(id).textContent();
    /** Whether the reply was still being written when all budgets had changed. */
    const disturb = async () => {
      await chat.press("New chat");
      await chat.ask(STORY);
      await expect.poll(() => chat.lastText(), SLOW).not.toBe("");
      await chat.pressSlider("on the GPU", "Home");
      await expect.poll(text("#ram-bytes"), SLOW).not.toBe("nothing");
      await chat.pressSlider("in RAM", "Home");
      await chat.pressSlider("on disk", "Home");
      await expect.poll(text("#disk-bytes"), SLOW).toBe("nothing");
      const tone = await chat.page.locator("#status").getAttribute("data-tone");
      expect(await chat.reply()).toBe(undisturbed);
      return tone === "busy";
    };
    let inTime = await disturb();
    // A story is short, and other tests may take the processor while it is written.
    for (let attempt = 0; !inTime && attempt < 3; attempt++) {
      for (const tier of ["on the GPU", "in RAM", "on disk"] as const) {
        await chat.pressSlider(tier, "End");
      }
      await chat.filled();
      inTime = await disturb();
    }

    expect(inTime).toBe(true);
    expect(await text("#ram-bytes")()).toBe("nothing");
    // Four in each layer, less those whose loads stopped with the reply.
    const resident = Number(/^(\d+) of 192$/.exec((await text("#resident")()) ?? "")?.[1]);
    expect(resident).toBeGreaterThan(0);
    expect(resident).toBeLessThanOrEqual(24);
    expect(await text("#share-problem")()).toBe("");
  });

  test("that are refused go back, with a sentence", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    const slider = chat.page.getByLabel("Share of the experts kept on the GPU");

    await slider.evaluate((input: HTMLInputElement) => {
      input.min = "1";
    });
    await slider.press("Home");

    const problem = chat.page.locator("#share-problem");
    await expect.poll(() => problem.textContent(), SLOW).toContain("The budget stays as it was.");
    expect(await problem.textContent()).toContain("give at least 13 %");
    expect(await slider.inputValue()).toBe("100");
    await slider.press("ArrowLeft");
    await expect.poll(() => problem.textContent(), SLOW).toBe("");
    expect(await slider.inputValue()).toBe("99");
  });

  test("are kept for the next load, as are the settings of experts", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.pressSlider("in RAM", "End");
    await chat.setGreedy(4);
    await chat.unfold("load-settings");
    await chat.page.getByLabel("Which expert leaves").selectOption("lru");
    await chat.page.getByLabel("Who says which experts").selectOption("token-table");

    await chat.press("Load the model again");
    await chat.filled();
    await chat.ask("Hello.");
    await chat.reply();

    expect(await chat.figure("Policy")).toBe("lru");
    expect(await chat.figure("Predictor")).toMatch(/^(token-table|off)$/);
    expect(await chat.page.locator("#ram-value").textContent()).toMatch(/^100\s%/);
    expect(await chat.page.locator("#disk-value").textContent()).toMatch(/^automatic/);
  });

  test("say why there is none on disk for a file of this device", async () => {
    await using chat = await ChatPage.open(browser, server.url);
    await chat.filled();
    await chat.unfold("lower-block");

    await chat.drop("mine.gguf", tinyModel({ architecture: "qwen3moe" }));
    await chat.page.getByText("qwen3moe", { exact: true }).waitFor({ state: "attached" });
    await chat.ready();

    await chat.page.getByText("nothing is copied").waitFor();
    expect(await chat.page.getByLabel("kept on disk").isDisabled()).toBe(true);
  });
});
