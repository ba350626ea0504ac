// Decode and prefill speed against the length of the context, in Chromium:
//   node test/bench/run.mjs test/bench/context-depth.ts [--model FILE] [--depths 32,896] [--kv-caches f32] ...
// Each setting has a worker and a device of its own, and all take the same prompts in turn, round after round, so that a
// busy machine slows all of them; figures are medians over the rounds. With --against FOLDER each setting is also run by
// the sources of another checkout, first, and ratios are to it.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { type Browser, type Page, chromium as playwright } from "playwright-core";
import type { EngineStats } from "../../src/rpc/api.ts";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";
import { tinyModel } from "../helpers/tiny-models.ts";
import { type PageServer, servePage } from "./serve-page.ts";

const FLAGS = {
  model: { type: "string", default: "demo/models/sluice-small.gguf" },
  depths: { type: "string", default: "32,320,608,896" },
  "kv-caches": { type: "string", default: "f32" },
  against: { type: "string", default: "" },
  tokens: { type: "string", default: "32" },
  rounds: { type: "string", default: "5" },
  context: { type: "string", default: "1024" },
} as const;

/** Names a model of random weights, half of whose layers have windows of that many keys, in the place of a file. */
const WINDOWED = /^windows-of-(\d+)$/;

/** A page of one checkout's sources, with what is called in it. */
const PAGE = `<!doctype html><script type="module">
import { connect } from "/src/index.ts";
const engines = [];
globalThis.bench = {
  async open(url, options) {
    const engine = await connect(new Worker("/src/worker.ts", { type: "module" }));
    await engine.load(new URL(url, location.href), { runtime: "webgpu", ...options });
    return engines.push(engine) - 1;
  },
  async reply(index, tokens, maxTokens) {
    const { stats, tokens: answer } = await engines[index].generate({ tokens }, { maxTokens }).result;
    return { stats, answer };
  },
};
</script>`;

interface Setting {
  readonly page: Page;
  readonly checkout: string;
  readonly kvCache: string;
  readonly engine: number;
}

interface Sample {
  readonly setting: Setting;
  readonly depth: number;
  readonly stats: EngineStats;
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAGS });
  const model = await modelBytes(values.model, Number(values.context));
  const roots = [...(values.against ? [values.against] : []), "."];
  const browser = await playwright.launch({
    executablePath: findChromium(),
    args: [...CHROMIUM_ARGS],
  });
  const servers = await Promise.all(
    roots.map((root) => servePage({ root, html: PAGE, modelPath: basename(values.model), model })),
  );
  try {
    const settings: Setting[] = [];
    for (const [index, checkout] of roots.entries()) {
      for (const kvCache of values["kv-caches"].split(",")) {
        const page = await openPage(browser, servers[index]!);
        const options = {
          ...{ kvCache, contextTokens: Number(values.context), fill: "wait" },
          ...{ gpuBudget: "100%", diskBudget: 0 },
        };
        const engine = await page.evaluate<number, unknown[]>(
          ([url, options]) => (globalThis as never as { bench: Bench }).bench.open(url, options),
          [`/${basename(values.model)}`, options],
        );
        settings.push({ page, checkout, kvCache, engine });
      }
    }
    const samples = await measure(settings, {
      depths: values.depths.split(",").map(Number),
      rounds: Number(values.rounds),
      maxTokens: Number(values.tokens),
    });
    print(settings, samples);
  } finally {
    await browser.close();
    for (const server of servers) await server.close();
  }
}

interface Bench {
  open(url: unknown, options: unknown): Promise<number>;
  reply(
    engine: number,
    tokens: readonly number[],
    maxTokens: number,
  ): Promise<{ stats: EngineStats; answer: number[] }>;
}

async function modelBytes(name: string, contextTokens: number): Promise<Uint8Array> {
  const window = WINDOWED.exec(name)?.[1];
  if (window === undefined) return await readFile(name);
  const sizes = { hidden: 256, ffn: 64, heads: 8, kvHeads: 2, headDim: 64, experts: 4, topK: 2 };
  const { buffer } = tinyModel({
    architecture: "gpt-oss",
    ...sizes,
    ...{ window: Number(window), layers: 4, contextTokens },
  });
  return new Uint8Array(buffer);
}

async function openPage(browser: Browser, { url }: PageServer): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction("globalThis.bench");
  return page;
}

/** The samples of all settings and depths, after one round at each depth that only warms up. */
async function measure(
  settings: readonly Setting[],
  how: { readonly depths: readonly number[]; readonly rounds: number; readonly maxTokens: number },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const depth of how.depths) {
    for (let round = 0; round <= how.rounds; round++) {
      // The last pass's tokens differ from round to round; the keys of those before are kept.
      const other = (i: number) => (i < depth - 32 ? 0 : round);
      const prompt = Array.from(
        { length: depth },
        (_, i) => 260 + ((i * 37 + 101 * other(i)) % 40),
      );
      const answers = new Set<string>();
      for (const setting of settings) {
        const { stats, answer } = await setting.page.evaluate<
          { stats: EngineStats; answer: number[] },
          [number, readonly number[], number]
        >(
          ([engine, tokens, count]) =>
            (globalThis as never as { bench: Bench }).bench.reply(engine, tokens, count),
          [setting.engine, prompt, how.maxTokens],
        );
        if (round > 0) samples.push({ setting, depth, stats });
        answers.add(answer.join());
      }
      if (answers.size > 1) process.stderr.write(`depth ${depth}: answers differ\n`);
    }
    process.stderr.write(`depth ${depth}\n`);
  }
  return samples;
}

function print(settings: readonly Setting[], samples: readonly Sample[]): void {
  console.log(
    "| checkout | cache | depth | decode, ms a token | prefill of a chunk, ms | decode, prefill to the first |",
  );
  console.log("| --- | --- | --- | --- | --- | --- |");
  for (const depth of new Set(samples.map((sample) => sample.depth))) {
    const rows = settings.map((setting) => {
      const own = samples.filter((sample) => sample.setting === setting && sample.depth === depth);
      const decode = median(own.map(({ stats }) => 1000 / stats.tokensPerSecond));
      return { setting, decode, prefill: median(own.map(({ stats }) => stats.prefillMs)) };
    });
    for (const { setting, decode, prefill } of rows) {
      const ratios = [decode / rows[0]!.decode, prefill / rows[0]!.prefill];
      const cells = [
        ...[setting.checkout, setting.kvCache, depth, decode.toFixed(2), prefill.toFixed(0)],
        ratios.map((ratio) => ratio.toFixed(2)).join(", "),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
