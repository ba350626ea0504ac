import { mkdtemp, readdir, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LaunchOptions } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatPage, launchChromium } from "./chat-page.ts";

const configFile = fileURLToPath(new URL("../../vite.config.ts", import.meta.url));
const WITHOUT_GPU: LaunchOptions = { args: ["--no-sandbox", "--disable-gpu"] };

let outDir: string;

beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), "sluice-page-"));
  await build(optionsOf());
});

afterAll(async () => {
  if (outDir) await rm(outDir, { recursive: true });
});

/** The demo's configuration, with another folder. */
function optionsOf() {
  return { configFile, mode: "demo", logLevel: "error", build: { outDir } } as const;
}

/** Serves what was built as the configuration says, or with these headers in the place of its own. */
function serve(headers?: Record<string, string>): Promise<PreviewServer> {
  const own = { host: "127.0.0.1", port: 0 };
  if (!headers) return preview({ ...optionsOf(), preview: own });
  return preview({
    ...{ configFile: false, logLevel: "error", build: { outDir } },
    preview: { ...own, headers },
  });
}

test.for([
  { on: "WebGPU", options: {}, query: "?runtime=webgpu", note: "Runs on WebGPU" },
  { on: "WebAssembly", options: WITHOUT_GPU, query: "", note: "Runs in WebAssembly" },
  {
    ...{ on: "one thread, of a host that does not isolate pages", headers: {} },
    ...{ options: WITHOUT_GPU, query: "", note: "WebAssembly (1 thread)" },
  },
])("the built page works from a folder of its own, on $on", async (each) => {
  const { headers, options, query, note } = { headers: undefined, ...each };
  const server = await serve(headers);
  const browser = await launchChromium(options);
  try {
    const { port } = server.httpServer.address() as AddressInfo;
    await using chat = await ChatPage.open(browser, `http://127.0.0.1:${port}/${query}`);
    await chat.ready();
    await chat.setGreedy(8);

    await chat.ask("Tell me a story about a fox and a lantern.");

    expect(await chat.reply()).not.toBe("");
    expect(await chat.page.locator("#runtime-note").textContent()).toContain(note);
    expect(chat.errors).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});

test("of onnxruntime-web's builds, only the plain one comes with the built page", async () => {
  const assets = await readdir(join(outDir, "assets"));

  expect(assets.filter((name) => name.endsWith(".wasm"))).toEqual([
    expect.stringMatching(/^ort-wasm-simd-threaded-[\w-]+\.wasm$/),
  ]);
});
