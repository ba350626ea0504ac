// What budgets and predictors make of a model's decoding, in Chromium, with every expert in RAM:
//   node test/bench/run.mjs test/bench/expert-memory.ts [--model FILE] [--budgets 100%,50%,25%] [--predictors auto,none] ...
// Each setting has a worker and a device of its own. All give the same replies in turn, round after round, so that a busy
// machine slows all of them; speeds are medians over the rounds, and beside them stands what the simulator makes of the
// trace with the costs that the engine measured.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { type Browser, type JSHandle, chromium as playwright } from "playwright-core";
import type {
  EngineStats,
  EvictionPolicyName,
  LoadOptions,
  PacingName,
  PredictorName,
  RoutingTrace,
} from "../../src/rpc/api.ts";
import { DEFAULT_COSTS } from "../../src/scheduler/simulation/cost-model.ts";
import type { SimulationResult } from "../../src/scheduler/simulation/result.ts";
import { simulate } from "../../src/scheduler/simulation/simulator.ts";
import { CHROMIUM_ARGS, findChromium } from "../../tools/browsers/chromium.ts";

import type { bench, Sample } from "./expert-memory-page.ts";
import { servePage } from "./serve-page.ts";

type Bench = typeof bench;

const FLAGS = {
  model: { type: "string", default: "demo/models/sluice-small.gguf" },
  budgets: { type: "string", default: "100%,50%,25%" },
  predictors: { type: "string", default: "auto,none" },
  policy: { type: "string", default: "lfu-decayed" },
  pacing: { type: "string", default: "adaptive" },
  tokens: { type: "string", default: "120" },
  rounds: { type: "string", default: "5" },
  json: { type: "boolean", default: false },
} as const;

/** Requests, two a round, each once: what was said before helps no predictor. This repository's models tell stories. */
const REQUESTS = [
  "Tell me a story about a fox and a lantern.",
  "Write a story about Rosie the hedgehog and a seed.",
  "Tell me a story about an owl and a drum.",
  "Write a story about a knight and a key.",
  "Please tell me a story about a whale.",
  "Tell me a story about a robot and a flower.",
  "Can you tell me a story about a storm?",
  "Tell me a bedtime story about a bear and a kite.",
  "Write a story about a mouse and a clock.",
  "Tell me a story about a pirate and a map.",
  "Please tell me a story about a rabbit and a boat.",
  "Tell me a story about a queen and a mirror.",
];
const REQUESTS_A_ROUND = 2;

const PAGE = `<!doctype html><script type="module" src="/test/bench/expert-memory-page.ts"></script>`;

interface Setting {
  readonly budget: string;
  readonly predictor: PredictorName | "auto" | "none";
  readonly policy: EvictionPolicyName;
  readonly pacing: PacingName;
}

/** What a setting came to. */
export interface Row {
  readonly budget: string;
  readonly predictor: string;
  readonly tokensPerSecond: number;
  /** Of the first setting's speed. */
  readonly ratio: number;
  readonly hitRate: number;
  readonly beladyHitRate: number;
  readonly faultsPerToken: number;
  readonly stallMsPerToken: number;
  readonly uploadedMbPerToken: number;
  readonly prefetchRecall: number | undefined;
  readonly prefetchUsed: number;
  readonly prefetchIssued: number;
  readonly prefetchWastedMb: number;
  /** The simulator's speed over the measured one; undefined where a trace can't tell what was guessed. */
  readonly simulated: number | undefined;
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAGS });
  const settings = values.budgets.split(",").flatMap((budget) =>
    values.predictors.split(",").map((predictor) => ({
      budget,
      predictor: predictor as Setting["predictor"],
      policy: values.policy as EvictionPolicyName,
      pacing: values.pacing as PacingName,
    })),
  );
  const samples = await measure(values.model, settings, {
    rounds: Number(values.rounds),
    maxTokens: Number(values.tokens),
  });
  expectSameTokens(samples);
  const speeds = samples.map(speedOf);
  const rows = settings.map((setting, index) =>
    rowOf(setting, samples[index]!, speeds[index]!, speeds[0]!),
  );
  if (values.json) console.log(JSON.stringify(rows, null, 2));
  else print(rows);
}

/** The samples of each setting, after one round that only warms up. */
async function measure(
  model: string,
  settings: readonly Setting[],
  { rounds, maxTokens }: { rounds: number; maxTokens: number },
): Promise<Sample[][]> {
  const bytes = await readFile(model);
  const server = await servePage({ html: PAGE, modelPath: basename(model), model: bytes });
  const browser = await playwright.launch({
    executablePath: findChromium(),
    args: [...CHROMIUM_ARGS],
  });
  try {
    const page = await openPage(browser, server.url);
    for (const setting of settings) {
      await page.evaluate((bench, { url, options }) => bench.open(url, options), {
        url: `/${basename(model)}`,
        options: optionsOf(setting),
      });
    }
    const samples: Sample[][] = settings.map(() => []);
    for (let round = 0; round <= rounds; round++) {
      for (const content of requestsOf(round)) {
        for (const index of settings.keys()) {
          const sample = await page.evaluate(
            (bench, [index, content, maxTokens]) => bench.reply(index, content, maxTokens),
            [index, content, maxTokens] as const,
          );
          if (round > 0) samples[index]!.push(sample);
        }
      }
      process.stderr.write(`round ${round} of ${rounds}\n`);
    }
    return samples;
  } finally {
    await browser.close();
    await server.close();
  }
}

function optionsOf({ budget, ...rest }: Setting): LoadOptions {
  return {
    ...rest,
    gpuBudget: budget,
    ramBudget: "100%",
    diskBudget: 0,
    contextTokens: 512,
    fill: "wait",
  };
}

function requestsOf(round: number): string[] {
  const first = REQUESTS_A_ROUND * round;
  return Array.from(
    { length: REQUESTS_A_ROUND },
    (_, index) => REQUESTS[(first + index) % REQUESTS.length]!,
  );
}

/** The page with its functions. */
async function openPage(browser: Browser, url: string): Promise<JSHandle<Bench>> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction(() => "bench" in globalThis);
  return page.evaluateHandle(() => (globalThis as unknown as { bench: Bench }).bench);
}

/** No budget and no predictor may change a token. */
function expectSameTokens(samples: readonly (readonly Sample[])[]): void {
  for (const [index, sample] of samples[0]!.entries()) {
    for (const others of samples) {
      if (others[index]!.tokens.join() !== sample.tokens.join()) {
        throw new Error("The settings gave different tokens: this is a bug of the engine.");
      }
    }
  }
}

function rowOf(setting: Setting, samples: readonly Sample[], speed: number, first: number): Row {
  const sum = (of: (stats: EngineStats) => number) =>
    samples.reduce((total, { stats }) => total + of(stats), 0);
  const tokens = sum(({ promptTokens, tokens }) => promptTokens + tokens);
  const replay = replayAll(setting, samples);
  return {
    budget: setting.budget,
    predictor: setting.predictor,
    tokensPerSecond: speed,
    ratio: speed / first,
    hitRate:
      sum((stats) => stats.expertHits) / sum((stats) => stats.expertHits + stats.expertMisses),
    beladyHitRate: replay.belady,
    faultsPerToken: sum((stats) => stats.faults) / tokens,
    stallMsPerToken: sum((stats) => stats.stallMs) / tokens,
    uploadedMbPerToken: sum((stats) => stats.bytesUploaded) / tokens / 1e6,
    prefetchRecall: samples.at(-1)!.stats.prefetchRecall,
    prefetchUsed: sum((stats) => stats.prefetchUsed),
    prefetchIssued: sum((stats) => stats.prefetchIssued),
    prefetchWastedMb: sum((stats) => stats.prefetchWastedBytes) / 1e6,
    simulated: replay.speed === undefined ? undefined : replay.speed / speed,
  };
}

/** All replies as one run, replayed by the same policy and by Belady's rule. */
function replayAll(setting: Setting, samples: readonly Sample[]) {
  const [{ trace, stats }] = samples as [Sample];
  const whole: RoutingTrace = {
    ...trace,
    tokens: samples.flatMap((sample) => sample.trace.tokens),
    passes: samples.flatMap((sample) => sample.trace.passes ?? []),
  };
  const slots = Math.round((trace.experts * Number.parseFloat(setting.budget)) / 100);
  const slotCounts = whole.recordBytes!.map(() => Math.max(trace.topK, slots));
  const run = (policy: EvictionPolicyName | "belady", predictor: PredictorName | "none") =>
    simulate(whole, {
      slotCounts,
      policy,
      predictor,
      pacing: setting.pacing,
      costs: { ...DEFAULT_COSTS, ...stats.costs },
    });
  const hitRate = ({ hits, misses }: SimulationResult) => hits / (hits + misses);
  const predictor = stats.predictor === "off" ? "none" : stats.predictor;
  const known = setting.predictor === "auto" || setting.predictor === "none";
  return {
    belady: hitRate(run("belady", "none")),
    speed: known ? run(setting.policy, predictor).tokensPerSecond : undefined,
  };
}

/** Median over the rounds. */
function speedOf(samples: readonly Sample[]): number {
  const speeds = samples.map(({ stats }) => stats.tokensPerSecond).sort((a, b) => a - b);
  return speeds[speeds.length >> 1]!;
}

function print(rows: readonly Row[]): void {
  const percent = (share: number | undefined) =>
    share === undefined ? "-" : `${(100 * share).toFixed(1)} %`;
  console.table(
    rows.map((row) => ({
      budget: row.budget,
      predictor: row.predictor,
      "tokens/s": row.tokensPerSecond.toFixed(1),
      ratio: percent(row.ratio),
      hits: percent(row.hitRate),
      "Belady's": percent(row.beladyHitRate),
      "faults/token": row.faultsPerToken.toFixed(2),
      "stall ms/token": row.stallMsPerToken.toFixed(2),
      "MB up/token": row.uploadedMbPerToken.toFixed(3),
      recall: percent(row.prefetchRecall),
      "used/issued": `${row.prefetchUsed}/${row.prefetchIssued}`,
      "wasted MB": row.prefetchWastedMb.toFixed(2),
      simulated: percent(row.simulated),
    })),
  );
}
