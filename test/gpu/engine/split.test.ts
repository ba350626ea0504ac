import { expect, onTestFinished, test } from "vitest";
import { commands } from "vitest/browser";
import type { SluiceEngine } from "../../../src/index.ts";
import { startEngine } from "../../helpers/worker-engine.ts";

const MODEL = { architecture: "olmoe", hidden: 64, ffn: 32, heads: 2, headDim: 32 } as const;
const PROMPT = { tokens: [9, 310, 77] };

async function serve() {
  const server = await commands.serveSplitModel(MODEL, [4, 9, 100]);
  onTestFinished(() => commands.stopServer(server.id));
  return server;
}

async function tokensOf(engine: SluiceEngine): Promise<number[]> {
  const tokens: number[] = [];
  for await (const piece of engine.generate(PROMPT, { maxTokens: 8 })) tokens.push(...piece.tokens);
  return tokens;
}

async function stored(engine: SluiceEngine, url: string) {
  return (await engine.listStored()).models.filter((model) => model.url === url);
}

/** Loads a model and waits until all of its experts are on disk. */
async function keepAll(engine: SluiceEngine, url: string, firstUrl: string): Promise<void> {
  await engine.load(url, { fill: "wait" });
  await expect
    .poll(async () => (await stored(engine, firstUrl))[0]?.records, { timeout: 30_000 })
    .toBe((await engine.stats()).totalExperts);
}

test("a second visit to a split model asks nothing of the network, whichever part is named", async () => {
  const { id, url, bytes } = await serve();
  const first = await startEngine();
  await keepAll(first, url.replace("00001", "00003"), url);
  const tokens = await tokensOf(first);
  expect(await stored(first, url)).toMatchObject([{ fileBytes: bytes }]);
  await first.dispose();
  const { requests } = await commands.serverLog(id);
  await commands.setOnline(id, false);

  const second = await startEngine();
  const info = await second.load(url.replace("00001", "00002"), { gpuBudget: "50%", fill: "off" });
  const again = await tokensOf(second);
  const stats = await second.stats();

  expect(info.bytes).toBe(bytes);
  expect(again).toEqual(tokens);
  expect(stats.bytesFromNetwork).toBe(0);
  expect(stats.loadsFromSource).toBe(0);
  expect(stats.loadsFromDisk).toBeGreaterThan(0);
  expect((await commands.serverLog(id)).requests).toHaveLength(requests.length);
});

test("files that were chosen cross to the worker; a missing one is named", async () => {
  const { url } = await serve();
  const names = [1, 2, 3].map((part) => `tiny-0000${part}-of-00003.gguf`);
  const files = await Promise.all(
    names.map(async (name) => {
      const answer = await fetch(new URL(name, url));
      return new File([await answer.blob()], name);
    }),
  );
  const engine = await startEngine();

  await expect(engine.load(files.slice(1))).rejects.toMatchObject({
    code: "not-found",
    message: expect.stringMatching(/^tiny-00001-of-00003\.gguf is missing/),
  });
  const info = await engine.load([files[2]!, files[0]!, files[1]!], { fill: "off" });
  const own = await tokensOf(engine);
  expect(info.name).toBe("tiny olmoe");
  await engine.load(url, { fill: "off", diskBudget: 0 });
  expect(await tokensOf(engine)).toEqual(own);
});
