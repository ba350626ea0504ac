// How fast passes are whose products read less than all of their inputs, beside exact ones:
//   node test/bench/run.mjs test/bench/accuracy.ts [--accuracies exact,int8] [--browser firefox] [--model FILE] [--tokens 32]
//     [--rounds 9]
// Engines in one page, one for each accuracy, continue parts of a text in turn, round after round, so that a busy machine slows both.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { type Accuracy, accuracies } from "../../src/formats/input/registry.ts";
import type { EngineStats } from "../../src/rpc/api.ts";
import type { bench } from "./accuracy-page.ts";
import { browsers } from "./browsers.ts";
import { servePage } from "./serve-page.ts";

type Bench = typeof bench;

const FLAGS = {
  browser: { type: "string", default: "chromium" },
  accuracies: { type: "string", default: Object.keys(accuracies).join() },
  model: { type: "string", default: "demo/models/sluice-small.gguf" },
  text: { type: "string", default: "test/models/held-out.txt" },
  tokens: { type: "string", default: "32" },
  rounds: { type: "string", default: "9" },
} as const;

/** Characters of a prompt. Each round takes another one, so that nothing is there from before. */
const PROMPT_LENGTH = 400;

const PAGE = `<!doctype html><script type="module" src="/test/bench/accuracy-page.ts"></script>`;

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAGS });
  const text = await readFile(values.text, "utf8");
  const server = await servePage({
    html: PAGE,
    modelPath: basename(values.model),
    model: await readFile(values.model),
  });
  const open = browsers[values.browser as keyof typeof browsers];
  const page = await open(server.url);
  try {
    const names = values.accuracies.split(",") as Accuracy[];
    const call = <Name extends keyof Bench>(name: Name, ...args: Parameters<Bench[Name]>) =>
      page.evaluate(`bench.${name}(...${JSON.stringify(args)})`) as ReturnType<Bench[Name]>;
    await page.waitForFunction(`"bench" in globalThis`);
    const options = { fill: "wait", diskBudget: 0, autotune: false } as const;
    await call("open", `/${basename(values.model)}`, names, options);
    const all = new Map<Accuracy, EngineStats[]>(names.map((accuracy) => [accuracy, []]));
    // The first round warms up.
    for (let round = 0; round <= Number(values.rounds); round++) {
      const prompt = text.slice(round * PROMPT_LENGTH, (round + 1) * PROMPT_LENGTH);
      for (const accuracy of names) {
        const stats = await call("reply", accuracy, prompt, Number(values.tokens));
        if (stats.accuracy !== accuracy) {
          throw new Error(`${stats.adapter} computes ${stats.accuracy}, not ${accuracy}`);
        }
        if (round > 0) all.get(accuracy)!.push(stats);
      }
    }
    console.table(rowsOf(all));
  } finally {
    await page.close();
    await server.close();
  }
}

/** Milliseconds a token: medians and least of all rounds, and the median of how a round compares with its exact one. */
function rowsOf(all: ReadonlyMap<Accuracy, readonly EngineStats[]>) {
  return Object.entries(TIMES).flatMap(([kind, time]) => {
    const exact = all.get("exact")!.map(time);
    return [...all].map(([accuracy, stats]) => {
      const times = stats.map(time);
      return {
        kind,
        accuracy,
        medianMs: Number(median(times).toFixed(2)),
        leastMs: Number(Math.min(...times).toFixed(2)),
        ratio: Number(median(times.map((each, round) => each / exact[round]!)).toFixed(2)),
      };
    });
  });
}

const TIMES = {
  "of the prompt": ({ prefillMs, promptTokens }: EngineStats) => prefillMs / promptTokens,
  decoded: ({ decodeMs, tokens }: EngineStats) => decodeMs / Math.max(1, tokens - 1),
} as const;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
