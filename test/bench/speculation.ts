// What drafts make of a model's decoding, in Chromium:
//   node test/bench/run.mjs test/bench/speculation.ts [--model FILE] [--hows off,prompt-lookup,auto] [--rounds 5]
// One engine gives the same replies with each kind of drafts in turn, round after round, so that a busy machine slows
// all of them; speeds are medians over the rounds. `anew` are requests for a story, `again` the same requests behind the
// story that they brought: then there is something to copy.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import type { ChatMessage, SpeculationName } from "../../src/rpc/api.ts";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";
import { openBench } from "./open-bench.ts";
import { servePage } from "./serve-page.ts";
import type { bench, Sample } from "./speculation-page.ts";

type Bench = typeof bench;

const FLAGS = {
  model: { type: "string", default: "demo/models/sluice-small.gguf" },
  hows: { type: "string", default: "off,prompt-lookup,auto" },
  tokens: { type: "string", default: "120" },
  rounds: { type: "string", default: "5" },
} as const;

const REQUESTS = [
  "Tell me a story about a fox and a lantern.",
  "Tell me a story about an owl and a drum.",
  "Write a story about a knight and a key.",
];

const PAGE = `<!doctype html><script type="module" src="/test/bench/speculation-page.ts"></script>`;

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAGS });
  const hows = values.hows.split(",") as SpeculationName[];
  const server = await servePage({
    html: PAGE,
    modelPath: basename(values.model),
    model: await readFile(values.model),
  });
  const browser = await chromium.launch({
    executablePath: findChromium(),
    args: [...CHROMIUM_ARGS],
  });
  try {
    const page = await openBench<Bench>(browser, server.url);
    const loading = [`/${basename(values.model)}`, loadingFor(hows)] as const;
    await page.evaluate(
      (bench, [url, speculation]) => bench.open(url, { speculation, fill: "wait", diskBudget: 0 }),
      loading,
    );
    const reply = (messages: readonly ChatMessage[], how: SpeculationName) =>
      page.evaluate((bench, [messages, how, most]) => bench.reply(messages, how, most), [
        messages,
        how,
        Number(values.tokens),
      ] as const);
    await measure(reply, hows, Number(values.rounds));
  } finally {
    await browser.close();
    await server.close();
  }
}

/** What all of `hows` can be asked of. */
function loadingFor(hows: readonly SpeculationName[]): SpeculationName {
  return hows.includes("mtp") ? "mtp" : "prompt-lookup";
}

async function measure(
  reply: (messages: readonly ChatMessage[], how: SpeculationName) => Promise<Sample>,
  hows: readonly SpeculationName[],
  rounds: number,
): Promise<void> {
  const chats = { anew: [] as ChatMessage[][], again: [] as ChatMessage[][] };
  for (const content of REQUESTS) {
    const ask: ChatMessage = { role: "user", content };
    const { text } = await reply([ask], "off");
    chats.anew.push([ask]);
    chats.again.push([ask, { role: "assistant", content: text }, ask]);
  }
  const rows = [];
  for (const [chat, conversations] of Object.entries(chats)) {
    const samples = hows.map((): Sample[] => []);
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const messages of conversations) {
        const replies: Sample[] = [];
        for (const how of hows) replies.push(await reply(messages, how));
        expectSameTokens(replies);
        if (round > 0)
          for (const [index, sample] of replies.entries()) samples[index]!.push(sample);
      }
    }
    rows.push(...hows.map((how, index) => rowOf(chat, how, samples[index]!, samples[0]!)));
  }
  console.table(rows);
}

/** No draft may change a token. */
function expectSameTokens(replies: readonly Sample[]): void {
  const texts = new Set(replies.map(({ tokens }) => tokens.join()));
  if (texts.size !== 1) throw new Error("drafts changed a reply");
}

function rowOf(
  chat: string,
  how: SpeculationName,
  samples: readonly Sample[],
  plain: readonly Sample[],
) {
  const sum = (key: "drafted" | "accepted" | "passes") =>
    samples.reduce((total, { stats }) => total + stats.speculation[key], 0);
  const speed = medianSpeed(samples);
  return {
    chat,
    speculation: how,
    tokensPerSecond: Number(speed.toFixed(1)),
    ratio: Number((speed / medianSpeed(plain)).toFixed(2)),
    tokens: samples.reduce((total, { tokens }) => total + tokens.length, 0),
    drafted: sum("drafted"),
    accepted: sum("accepted"),
    passes: sum("passes"),
  };
}

function medianSpeed(samples: readonly Sample[]): number {
  const speeds = samples.map(({ stats }) => stats.tokensPerSecond).sort((a, b) => a - b);
  return speeds[speeds.length >> 1]!;
}
