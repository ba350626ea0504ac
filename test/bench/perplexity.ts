import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { scoreText } from "../../src/cli/score-text.ts";
import type { EngineStats } from "../../src/rpc/api.ts";
import { openLlamaOracle } from "../helpers/llama-oracle.ts";

/**
 * llama.cpp's perplexity of a text, on its CPU path, by the rule of `sluice perplexity`: what that command is compared
 * with. llama.cpp rounds activations to int8 where weights are quantised, so the two differ a little.
 *
 * `node test/bench/run.mjs test/bench/perplexity.ts MODEL --text FILE [--window 512]`
 */
export async function main(args: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { text: { type: "string" }, window: { type: "string", default: "512" } },
  });
  const [model] = positionals;
  if (!model || !values.text)
    throw new Error("Usage: perplexity.ts MODEL --text FILE [--window 512]");
  const text = await readFile(values.text, "utf8");
  const windowTokens = Number(values.window);
  const oracle = await openLlamaOracle(model, { contextTokens: windowTokens });
  const engine = {
    tokenize: (text: string) => oracle.tokenize(text),
    score: async (tokens: readonly number[]) => ({
      logprobs: await oracle.score(tokens),
      stats: {} as EngineStats,
    }),
  };
  const task = { kind: "score", text, windowTokens } as const;
  const { stats: _, ...score } = await scoreText(engine, task, () => {});
  await oracle.dispose();
  console.log(JSON.stringify({ ...score, perplexity: Math.exp(score.loss) }));
}
