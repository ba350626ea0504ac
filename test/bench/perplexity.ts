import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ScoringEngine, scoreText } from "../../src/cli/score-text.ts";
import type { EngineStats } from "../../src/rpc/api.ts";
import { type LlamaOracle, openLlamaOracle } from "../helpers/llama-oracle.ts";
import { expandToF32 } from "../helpers/tiny-models.ts";

/**
 * llama.cpp's perplexity of a text, on its CPU path, by the rule of `sluice perplexity`: what that command is compared
 * with. llama.cpp rounds activations to int8 where weights are quantised; not so with `--expand`, which gives it a copy
 * of the file whose tensors are F32.
 *
 * `node test/bench/run.mjs test/bench/perplexity.ts MODEL --text FILE [--window 512] [--expand]`
 */
export async function main(args: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      text: { type: "string" },
      window: { type: "string", default: "512" },
      expand: { type: "boolean", default: false },
    },
  });
  const [model] = positionals;
  if (!model || !values.text) throw new Error("Give a MODEL and --text FILE.");
  const text = await readFile(values.text, "utf8");
  const windowTokens = Number(values.window);
  const folder = await mkdtemp(join(tmpdir(), "sluice-perplexity-"));
  try {
    const path = values.expand ? join(folder, "expanded.gguf") : model;
    if (values.expand) await writeFile(path, await expandToF32(await readFile(model)));
    const oracle = await openLlamaOracle(path, { contextTokens: windowTokens });
    const score = await scoreText(
      scoringEngine(oracle),
      { kind: "score", text, windowTokens },
      () => {},
    );
    await oracle.dispose();
    const { stats: _, ...figures } = score;
    console.log(JSON.stringify({ ...figures, perplexity: Math.exp(score.loss) }));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function scoringEngine(oracle: LlamaOracle): ScoringEngine {
  return {
    tokenize: (text) => oracle.tokenize(text),
    score: async (tokens) => ({ logprobs: await oracle.score(tokens), stats: {} as EngineStats }),
  };
}
