import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { LaunchOptions } from "playwright-core";
import { expect, inject, test } from "vitest";
import { ChatPage, launchChromium } from "./chat-page.ts";
import { serveDemo } from "./demo-server.ts";

const WITHOUT_GPU: LaunchOptions = { args: ["--no-sandbox", "--disable-gpu"] };

test.for([
  { on: "WebGPU", options: {}, query: "?runtime=webgpu", note: "Runs on WebGPU" },
  { on: "WebAssembly", options: WITHOUT_GPU, query: "", note: "Runs in WebAssembly" },
  {
    ...{ on: "one thread, of a host that does not isolate pages", headers: {} },
    ...{ options: WITHOUT_GPU, query: "", note: "WebAssembly (1 thread)" },
  },
])("the built page works from a folder of its own, on $on", async (each) => {
  const { headers, options, query, note } = { headers: undefined, ...each };
  await using server = await serveDemo(headers);
  const browser = await launchChromium(options);
  try {
    await using chat = await ChatPage.open(browser, `${server.plainUrl}${query}`);
    await chat.ready();
    await chat.setGreedy(8);

    await chat.ask("Tell me a story about a fox and a lantern.");

    expect(await chat.reply()).not.toBe("");
    expect(await chat.page.locator("#runtime-note").textContent()).toContain(note);
    expect(chat.errors).toEqual([]);
  } finally {
    await browser.close();
  }
});

test("of onnxruntime-web's builds, only the plain one comes with the built page", async () => {
  const assets = await readdir(join(inject("demoFolder"), "assets"));

  expect(assets.filter((name) => name.endsWith(".wasm"))).toEqual([
    expect.stringMatching(/^ort-wasm-simd-threaded-[\w-]+\.wasm$/),
  ]);
});
