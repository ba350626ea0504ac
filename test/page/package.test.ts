import { readdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { build, createServer, type InlineConfig, preview } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveFolder } from "../helpers/folder-server.ts";
import { makePackageApp, type PackageApp } from "../helpers/package-app.ts";
import { launchChromium } from "./chat-page.ts";

/** What pages need whose threads share memory. */
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** With these headers, and so many threads where two are asked for. */
const HOSTS = [
  { host: "any host", headers: {}, threads: 1 },
  { host: "a host that isolates pages", headers: ISOLATED, threads: 2 },
] as const;

let app: PackageApp;
let browser: Browser;

beforeAll(async () => {
  [app, browser] = await Promise.all([
    makePackageApp(),
    launchChromium({ args: ["--no-sandbox", "--disable-gpu"] }),
  ]);
});

afterAll(async () => {
  await browser?.close();
  await app?.[Symbol.asyncDispose]();
});

/** What the app at `address` comes to with those options of `load`. */
async function resultOf(address: string, options: object) {
  const page = await browser.newPage();
  const urls: string[] = [];
  page.context().on("request", (request) => urls.push(request.url()));
  try {
    await page.goto(`${address}?options=${encodeURIComponent(JSON.stringify(options))}`);
    await page.locator("body[data-result]").waitFor({ state: "attached", timeout: 60_000 });
    const result = await page.locator("body").getAttribute("data-result");
    return { ...JSON.parse(result ?? ""), urls };
  } finally {
    await page.close();
  }
}

/** Vite's own defaults: the app has no configuration. */
function configFor(headers: Record<string, string>): InlineConfig {
  const server = { host: "127.0.0.1", port: 0, headers };
  return {
    root: app.folder,
    configFile: false,
    logLevel: "silent",
    server: { ...server, hmr: false, ws: false, watch: null },
    preview: server,
  };
}

const addressOf = (at: unknown) => `http://127.0.0.1:${(at as AddressInfo).port}/`;

describe.for(HOSTS)("an app that has the package, on $host", ({ headers, threads }) => {
  const expected = { runtime: { name: "onnx", threads }, tokens: { length: 4 } };

  test("computes in WebAssembly from Vite's development server", async () => {
    const server = await createServer(configFor(headers));
    await server.listen();
    try {
      const result = await resultOf(addressOf(server.httpServer?.address()), { onnxThreads: 2 });

      expect(result).toMatchObject(expected);
    } finally {
      await server.close();
    }
  });

  test("computes in WebAssembly as Vite built it, with one file of WebAssembly", async () => {
    await build(configFor(headers));
    const assets = await readdir(join(app.folder, "dist/assets"));
    const server = await preview(configFor(headers));
    try {
      const result = await resultOf(addressOf(server.httpServer.address()), { onnxThreads: 2 });

      expect(result).toMatchObject(expected);
      expect(assets.filter((name) => name.endsWith(".wasm"))).toEqual([
        expect.stringMatching(/^ort-wasm-simd-threaded-[\w-]+\.wasm$/),
      ]);
    } finally {
      await server.close();
    }
  });

  test("takes the files from another origin where it is told to", async () => {
    const files = join(app.folder, "node_modules/onnxruntime-web/dist");
    await using cdn = await serveFolder(files);
    const server = await createServer(configFor(headers));
    await server.listen();
    try {
      const result = await resultOf(addressOf(server.httpServer?.address()), {
        onnxFolder: cdn.url,
        onnxThreads: 2,
      });

      expect(result).toMatchObject(expected);
      expect(result.urls).toContain(`${cdn.url}ort-wasm-simd-threaded.wasm`);
      // Each thread asks for it; one file is all that there is to fetch.
      const wasm = result.urls.filter((url: string) => url.endsWith(".wasm"));
      expect(new Set(wasm).size).toBe(1);
      expect(wasm).toHaveLength(threads);
    } finally {
      await server.close();
    }
  });
});
