import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type LaunchOptions,
  type Page,
} from "playwright-core";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";
import { rememberTunings, restoreTunings } from "./tunings.ts";

/** Starts Chromium with WebGPU on a software adapter, or with other arguments. */
export function launchChromium(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    args: [...CHROMIUM_ARGS],
    ...options,
  });
}

/** How the page calls a tier, on WebGPU or in WebAssembly. */
export type TierWords = "on the GPU" | "ready to compute" | "in RAM" | "packed in RAM" | "on disk";

const LOWER_TIERS: readonly TierWords[] = ["in RAM", "packed in RAM", "on disk"];

/** The chat page in a browser, as a person uses it. Closed with its context by `await using`. */
export class ChatPage implements AsyncDisposable {
  readonly page: Page;
  /** Errors that the page did not catch. */
  readonly errors: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(error.message));
  }

  /** Opens the page in a context of its own, so that nothing is left of another test. */
  static async open(
    browser: Browser,
    url: string,
    options: BrowserContextOptions = {},
    prepare: (page: Page) => Promise<unknown> = async () => {},
  ): Promise<ChatPage> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      permissions: ["clipboard-read", "clipboard-write"],
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(90_000);
    if (options.javaScriptEnabled !== false) await restoreTunings(page, url);
    const chat = new ChatPage(page);
    await prepare(page);
    await page.goto(url);
    return chat;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rememberTunings(this.page);
    await this.page.context().close();
  }

  /** Waits until the model is loaded and nothing is being written. Throws with the alert's text if there is one. */
  async ready(): Promise<void> {
    await this.page.locator('#status[data-tone="good"], #alert .failure').first().waitFor();
    const failures = await this.page.locator("#alert .failure").allTextContents();
    if (failures.length > 0) throw new Error(`the page says: ${failures.join(" ")}`);
  }

  /** Waits until every expert that has room is on the GPU. */
  async filled(): Promise<void> {
    await this.ready();
    await this.page.locator("#loading").waitFor({ state: "hidden" });
  }

  /** Unfolds the part of the page with that id. */
  async unfold(id: string): Promise<void> {
    const part = this.page.locator(`#${id}`);
    if ((await part.getAttribute("open")) === null) await part.locator("> summary").click();
  }

  /** Loads the model at `url` by the field of the model picker. */
  async loadUrl(url: string): Promise<void> {
    await this.unfold("model-block");
    await this.page.getByLabel("GGUF file on the web").fill(url);
    await this.page.locator("#url-form").getByRole("button", { name: "Load" }).click();
  }

  /** Makes replies greedy and as long as said. */
  async setGreedy(maxTokens: number): Promise<void> {
    await this.unfold("settings-block");
    await this.page.getByLabel("Temperature").fill("0");
    await this.page.getByLabel("Most tokens in a reply").fill(String(maxTokens));
  }

  /** Chooses from a list of the settings that count from the next load on. */
  async choose(list: string, option: string): Promise<void> {
    await this.unfold("settings-block");
    await this.unfold("load-settings");
    await this.page.getByLabel(list).selectOption(option);
  }

  /** Types a message and presses Enter; a short reply may be over by the time that this resolves. */
  async ask(text: string): Promise<void> {
    const questions = this.page.locator(".turn.user");
    const before = await questions.count();
    await this.page.getByLabel("Your message").fill(text);
    await this.page.getByLabel("Your message").press("Enter");
    await questions.nth(before).waitFor();
  }

  /** The last reply once it is finished. */
  async reply(): Promise<string> {
    await this.ready();
    return await this.lastText();
  }

  /** The last reply as far as it is written. */
  async lastText(): Promise<string> {
    return (await this.page.locator(".turn.assistant .text").allTextContents()).at(-1) ?? "";
  }

  /** Moves the memory slider by keys, as a person without a mouse does, and waits until it has taken effect. */
  async moveSlider(key: "Home" | "End"): Promise<void> {
    await this.pressSlider("on the GPU", key);
    await this.filled();
  }

  /** Moves the slider of a tier by keys, whatever is under way. */
  async pressSlider(tier: TierWords, key: "Home" | "End"): Promise<void> {
    if (LOWER_TIERS.includes(tier)) await this.unfold("lower-block");
    const slider = this.page.getByLabel(`Share of the experts kept ${tier}`);
    await slider.press(key);
    await slider.blur();
  }

  /** The value of one of the last reply's figures. */
  async figure(label: string): Promise<string> {
    const row = this.page.locator("#numbers > div, #numbers-more dl > div").filter({
      has: this.page.locator("dt").getByText(label, { exact: true }),
    });
    return (await row.locator("dd").textContent()) ?? "";
  }

  /** Text of the alert once there is one. */
  async alert(): Promise<string> {
    return (await this.page.locator("#alert .failure").textContent()) ?? "";
  }

  /** Presses a button by its label. */
  async press(label: string): Promise<void> {
    await this.page.getByRole("button", { name: label, exact: true }).click();
  }

  /** Drops a file on the page. */
  drop(name: string, bytes: Uint8Array): Promise<void> {
    return this.dropAll([{ name, bytes }]);
  }

  /** Drops files on the page, all at once. */
  async dropAll(
    files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  ): Promise<void> {
    const transfer = await this.page.evaluateHandle(
      (files) => {
        const data = new DataTransfer();
        for (const { name, text } of files) {
          data.items.add(new File([Uint8Array.from(text, (c) => c.charCodeAt(0))], name));
        }
        return data;
      },
      files.map(({ name, bytes }) => ({ name, text: Buffer.from(bytes).toString("latin1") })),
    );
    await this.page.dispatchEvent("body", "dragover", { dataTransfer: transfer });
    await this.page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  }

  /** How much wider the page is than its window. */
  async overflowPx(): Promise<number> {
    return await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  }
}
