import puppeteer, { type CDPSession, type WebWorker } from "puppeteer-core";
import { createServer } from "vite";
import { expect, test } from "vitest";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";
import { serveFile } from "../helpers/file-server.ts";
import { tinyModel } from "../helpers/tiny-models.ts";

const MEGABYTE = 1e6;
const FILE_BYTES = 200 * MEGABYTE;
const MOST_ABOVE_START = 150 * MEGABYTE;
const POLL_MS = 20;

test("a model of 200 MB loads over HTTP with less than 150 MB of JavaScript heap above its start", async () => {
  const file = tinyModel({
    architecture: "qwen3moe",
    format: "f32",
    vocab: 65_536,
    layers: 4,
    experts: 32,
    topK: 4,
    hidden: 256,
    ffn: 256,
  });
  expect(file.length).toBeGreaterThan(FILE_BYTES);
  await using model = await serveFile(file);
  const vite = await createServer({
    root: new URL("../..", import.meta.url).pathname,
    configFile: false,
    logLevel: "error",
    server: { host: "127.0.0.1", port: 0, hmr: false, watch: null },
    appType: "mpa",
  });
  await vite.listen();
  const address = vite.resolvedUrls!.local[0]!;
  const browser = await puppeteer.launch({
    executablePath: findChromium(),
    args: [...CHROMIUM_ARGS],
    headless: true,
  });
  try {
    const page = await browser.newPage();
    // Any file will do: it is the origin that counts.
    await page.goto(`${address}package.json`);
    const started = new Promise<WebWorker>((resolve) => page.once("workercreated", resolve));
    // As text: Vitest would rewrite the import. The tests' server compiles the modules.
    await page.evaluate(`(async () => {
      const { connect } = await import("/src/index.ts");
      const worker = new Worker("/src/worker.ts", { type: "module" });
      globalThis.engine = await connect(worker);
    })()`);
    const { client } = await started;
    await client.send("HeapProfiler.collectGarbage");
    const before = await heapBytes(client);
    let most = 0;
    let loading = true;
    const watch = (async () => {
      while (loading) {
        most = Math.max(most, await heapBytes(client));
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    })();
    const info = await page.evaluate(async (url) => {
      const { engine } = globalThis as unknown as {
        engine: { load(url: string, options: object): Promise<{ bytes: number }> };
      };
      return engine.load(url, { runtime: "webgpu", fill: "wait", contextTokens: 64 });
    }, model.url);
    loading = false;
    await watch;

    expect(info.bytes).toBe(file.length);
    expect(model.sentBytes).toBeGreaterThan(FILE_BYTES);
    expect(most - before).toBeGreaterThan(0);
    expect(most - before).toBeLessThan(MOST_ABOVE_START);
    console.log(`heap above its start: ${((most - before) / MEGABYTE).toFixed(1)} MB at most`);
  } finally {
    await browser.close();
    await vite.close();
  }
});

/** JavaScript objects and what their ArrayBuffers hold. */
async function heapBytes(client: CDPSession): Promise<number> {
  const usage = (await client.send("Runtime.getHeapUsage")) as unknown as {
    usedSize: number;
    backingStorageSize?: number;
  };
  return usage.usedSize + (usage.backingStorageSize ?? 0);
}
