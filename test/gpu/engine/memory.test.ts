import { afterAll, beforeAll, expect, test } from "vitest";
import { commands } from "vitest/browser";
import { createEngine } from "../../../src/engine/engine.ts";
import type { Engine } from "../../../src/engine/types.ts";
import { loadCold, replyOf } from "../../helpers/engine.ts";

/** A driver that compiled kernels at each dispatch and kept them took 6 to 10 MB a pass; browsers' ups and downs take less. */
const MOST_BYTES_A_PASS = 4e6;

/** So many that those ups and downs are small beside what passes would leave. */
const LEAST_PASSES = 48;

/** Passes of 32 tokens. */
const CHUNKS = 12;

let engine: Engine;

beforeAll(async () => {
  engine = createEngine({ gpu: navigator.gpu });
  const { url } = await commands.serveModel("test/models/sluice-tiny.gguf");
  await loadCold(engine, url, { fill: "wait", diskBudget: 0 });
});

afterAll(async () => {
  await engine?.dispose();
});

/** Decodes by chance, lest an end token comes soon; the passes that it took. */
async function decode(seed: number): Promise<number> {
  const { tokens } = await replyOf(
    engine,
    { tokens: [9, 310, 77] },
    { maxTokens: 100, temperature: 1.5, seed },
  );
  return tokens.length;
}

/** Prompts with nothing in common, so that all of each is computed; the passes that it took. */
async function prefill(seed: number): Promise<number> {
  const first = 5 + ((400 * seed) % 1600);
  const tokens = Array.from({ length: 32 * CHUNKS }, (_, i) => first + i);
  await replyOf(engine, { tokens }, { maxTokens: 1 });
  return CHUNKS;
}

test.for([
  { name: "a decoded token", run: decode },
  { name: "a chunk of a prompt", run: prefill },
])("$name leaves nothing in the browser's memory", async ({ run }) => {
  await run(0); // takes what later runs use again
  const before = await commands.browserBytes();
  if (navigator.platform.startsWith("Linux")) expect(before).toBeGreaterThan(1e8);

  let passes = 0;
  for (let seed = 1; passes < LEAST_PASSES; seed++) passes += await run(seed);

  const grown = (await commands.browserBytes()) - before;
  expect(grown / passes).toBeLessThan(MOST_BYTES_A_PASS);
});
