import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, preview } from "vite";
import { expect, test } from "vitest";
import { ChatPage, launchChromium } from "./chat-page.ts";

const configFile = fileURLToPath(new URL("../../vite.config.ts", import.meta.url));

test("the built page works, from a folder of its own", async () => {
  const outDir = await mkdtemp(join(tmpdir(), "sluice-page-"));
  const options = { configFile, mode: "demo", logLevel: "error", build: { outDir } } as const;
  await build(options);
  const server = await preview({ ...options, preview: { host: "127.0.0.1", port: 0 } });
  const browser = await launchChromium();
  try {
    const { port } = server.httpServer.address() as AddressInfo;
    await using chat = await ChatPage.open(browser, `http://127.0.0.1:${port}/`);
    await chat.ready();
    await chat.setGreedy(8);

    await chat.ask("Tell me a story about a fox and a lantern.");

    expect(await chat.reply()).not.toBe("");
    expect(chat.errors).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
    await rm(outDir, { recursive: true });
  }
});
