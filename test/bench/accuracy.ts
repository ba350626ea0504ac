// How fast passes are with inputs in int8, beside exact ones, in Chromium:
//   node test/bench/run.mjs test/bench/accuracy.ts [--model FILE] [--tokens 32] [--rounds 9]
// Two engines in one page continue parts of a text in turn, round after round, so that a busy machine slows both.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { type Accuracy, accuracies } from "../../src/formats/input/registry.ts";
import type { EngineStats } from "../../src/rpc/api.ts";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";
import type { bench } from "./accuracy-page.ts";
import { openBench } from "./open-bench.ts";
import { servePage } from "./serve-page.ts";

type Bench = typeof bench;

const FLAGS = {
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
  const browser = await chromium.launch({
    executablePath: findChromium(),
    args: [...CHROMIUM_ARGS],
  });
  try {
    const page = await openBench<Bench>(browser, server.url);
    const names = values.accuracies.split(",") as Accuracy[];
    await page.evaluate(
      (bench, [url, names]) =>
        bench.open(url, names, { fill: "wait", diskBudget: 0, autotune: false }),
      [`/${basename(values.model)}`, names] as const,
    );
    const all = new Map<Accuracy, EngineStats[]>(names.map((accuracy) => [accuracy, []]));
    // The first round warms up.
    for (let round = 0; round <= Number(values.rounds); round++) {
      const prompt = text.slice(round * PROMPT_LENGTH, (round + 1) * PROMPT_LENGTH);
      for (const accuracy of names) {
        const stats = await page.evaluate(
          (bench, [accuracy, prompt, most]) => bench.reply(accuracy, prompt, most),
          [accuracy, prompt, Number(values.tokens)] as const,
        );
        if (round > 0) all.get(accuracy)!.push(stats);
      }
    }
    console.table(rowsOf(all));
  } finally {
    await browser.close();
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
