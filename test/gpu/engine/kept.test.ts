import { expect, onTestFinished, test } from "vitest";
import { commands } from "vitest/browser";
import type { LoadOptions, SluiceEngine } from "../../../src/index.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import type { ServerBehaviour } from "../../helpers/file-server.ts";
import { drawSeed, runs } from "../../helpers/random-cases.ts";
import { startEngine } from "../../helpers/worker-engine.ts";

const PATH = "test/models/sluice-tiny.gguf";
const PROMPT = { tokens: [9, 310, 77] };
const KILLS = runs(navigator.userAgent.includes("Firefox") ? 10 : 50);

/** Pieces between two reads that one request brings along; see `coalescing`. */
const GAP_BYTES = 16 * 1024;

/** Where the experts of the first layer lie in the file, and how far the next layer's are from there. */
const EXPERTS = { start: 405_024, end: 1_031_712, layerBytes: 688_128 };

/** Whether a request begins within the experts of some layer. */
function isOfExpert(start: number | undefined): boolean {
  if (start === undefined || start < EXPERTS.start) return false;
  return (start - EXPERTS.start) % EXPERTS.layerBytes < EXPERTS.end - EXPERTS.start;
}

async function serve(behaviour: ServerBehaviour = {}) {
  const server = await commands.serveModel(PATH, behaviour);
  onTestFinished(() => commands.stopServer(server.id));
  return server;
}

async function tokensOf(engine: SluiceEngine): Promise<number[]> {
  const tokens: number[] = [];
  for await (const piece of engine.generate(PROMPT, { maxTokens: 8 })) tokens.push(...piece.tokens);
  return tokens;
}

async function storedAt(engine: SluiceEngine, url: string) {
  return (await engine.listStored()).models.find((model) => model.url === url);
}

/** Loads a model and waits until all of its experts are on disk. */
async function keepAll(engine: SluiceEngine, url: string, options: LoadOptions = {}) {
  await engine.load(url, { fill: "wait", ...options });
  await expect
    .poll(async () => (await storedAt(engine, url))?.records, { timeout: 30_000 })
    .toBe((await engine.stats()).totalExperts);
}

test("a second visit asks nothing of the network, and works without one", async () => {
  const { id, url } = await serve();
  const first = await startEngine();
  await keepAll(first, url);
  const tokens = await tokensOf(first);
  await first.dispose();
  const { requests } = await commands.serverLog(id);
  await commands.setOnline(id, false);

  const second = await startEngine();
  await second.load(url, { gpuBudget: "50%", fill: "off" });
  const again = await tokensOf(second);
  const stats = await second.stats();

  expect(again).toEqual(tokens);
  expect(stats.bytesFromNetwork).toBe(0);
  expect(stats.bytesBeforeFirstToken).toBe(0);
  expect(stats.loadsFromSource).toBe(0);
  expect(stats.loadsFromDisk).toBeGreaterThan(0);
  expect((await commands.serverLog(id)).requests).toHaveLength(requests.length);
});

test("the first token does not wait for the last byte", async () => {
  const { id, url, bytes } = await serve({ bytesPerSecond: 5e5, delayMs: 10 });
  const engine = await startEngine();

  await engine.load(url);
  const reply = engine.generate({ tokens: [77] }, { maxTokens: 2 });
  for await (const _piece of reply) break;
  const stats = await engine.stats();
  const { requests } = await commands.serverLog(id);

  expect(stats.bytesBeforeFirstToken).toBeLessThan(0.8 * bytes);
  // What every token needs comes before the experts: their requests begin within experts.
  const experts = requests.filter(({ range }) => isOfExpert(range?.start));
  const others = requests.filter(({ range }) => !isOfExpert(range?.start));
  expect(experts.length).toBeGreaterThan(0);
  const firstExpert = Math.min(...experts.map(({ atMs }) => atMs));
  expect(others.every(({ atMs }) => atMs <= firstExpert)).toBe(true);
  await commands.setServer(id, { bytesPerSecond: 1e9 });
  await expect
    .poll(async () => (await storedAt(engine, url))?.records, { timeout: 30_000 })
    .toBe(stats.totalExperts);
});

test("a tab that is killed at any moment loses at most what was in flight", {
  timeout: Math.max(600_000, 12_000 * KILLS),
}, async () => {
  const seed = drawSeed();
  console.info(`kills: ${KILLS} of them; VITE_SEED=${seed} gives their moments again`);
  const random = createRandom(seed);
  const { id, url, bytes } = await serve({ bytesPerSecond: 1.5e6, delayMs: 5 });
  const expertBytes = 2_506_752 / 64;
  // Another tab, which asks the disk each time.
  const witness = await startEngine();
  let kept = 0;
  let sent = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const engine = await startEngine();
    const loading = engine.load(url, { gpuBudget: "25%" });
    loading.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, random.integer(700)));
    engine.terminate();

    const { models } = await witness.listStored();
    const stored = models.find((model) => model.url === url);
    const now = stored?.records ?? 0;
    const log = await commands.serverLog(id);
    if (stored) {
      const { checked, damaged } = await witness.verifyStored(stored.id);
      expect({ damaged, lost: Math.max(0, kept - now) }).toEqual({ damaged: 0, lost: 0 });
      expect(checked).toBeGreaterThanOrEqual(now);
    }
    // What was kept is not asked for again: at most the rest of the file came in this life.
    const missing = bytes - kept * expertBytes;
    const gaps = GAP_BYTES * log.requests.length;
    expect(log.sentBytes - sent).toBeLessThanOrEqual(missing + gaps);
    sent = log.sentBytes;
    kept = now;
  }

  await commands.setServer(id, { bytesPerSecond: 1e9 });
  const last = await startEngine();
  await keepAll(last, url);
  const fetched = (await commands.serverLog(id)).sentBytes - sent;
  expect(fetched).toBeLessThanOrEqual(bytes - kept * expertBytes + 64 * GAP_BYTES);
  expect((await tokensOf(last)).length).toBe(8);
});

test("two tabs share what is kept, and neither can delete it under the other", async () => {
  const { id, url } = await serve();
  const writer = await startEngine();
  await keepAll(writer, url);
  const sent = (await commands.serverLog(id)).sentBytes;

  const reader = await startEngine();
  await reader.load(url, { fill: "wait" });

  expect(await tokensOf(reader)).toEqual(await tokensOf(writer));
  expect((await commands.serverLog(id)).sentBytes).toBe(sent);
  const stored = (await storedAt(reader, url))!;
  expect(stored.inUse).toBe(true);
  await expect(reader.deleteStored(stored.id)).rejects.toMatchObject({ code: "engine-state" });
  await writer.dispose();
  await reader.load(new Blob([await (await fetch(`/${PATH}`)).arrayBuffer()]));
  await reader.deleteStored(stored.id);
  expect(await storedAt(reader, url)).toBe(undefined);
});

test("a file that has changed on its host is told, and is there after another load", async () => {
  const { id, url } = await serve({ etag: '"first"' });
  const engine = await startEngine();
  await engine.load(url, { fill: "off" });
  await engine.dispose();
  await commands.setServer(id, { etag: '"second"' });

  const later = await startEngine();
  await later.load(url, { fill: "off" });
  await expect(tokensOf(later)).rejects.toMatchObject({
    code: "network",
    message: expect.stringContaining("load the model again"),
  });
  await later.load(url, { fill: "off" });

  expect(await tokensOf(later)).toHaveLength(8);
});

test("a budget of the disk is kept, and more is fetched again", async () => {
  const { url } = await serve();
  const engine = await startEngine();

  await engine.load(url, { gpuBudget: "25%", ramBudget: "0%", diskBudget: "20%" });
  await tokensOf(engine);
  const { diskBytes, diskBudgetBytes } = await engine.stats();
  const changed = await engine.setBudget({ disk: "10%" });

  expect(diskBytes).toBeGreaterThan(0);
  expect(diskBytes).toBeLessThanOrEqual(diskBudgetBytes);
  expect(changed.diskBudgetBytes).toBeLessThan(diskBudgetBytes);
  expect((await engine.stats()).diskBytes).toBeLessThanOrEqual(changed.diskBudgetBytes);
  expect((await storedAt(engine, url))!.records).toBeLessThanOrEqual(6);
});

test("a budget of nothing keeps nothing", async () => {
  const { url } = await serve();
  const engine = await startEngine();

  await engine.load(url, { diskBudget: 0 });
  await tokensOf(engine);

  expect(await storedAt(engine, url)).toBe(undefined);
  expect((await engine.stats()).diskBudgetBytes).toBe(0);
});
