import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readPrompt } from "../../src/engine/prompt.ts";
import { openGguf } from "../../src/gguf/gguf.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import { createTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { openLlamaOracle } from "./llama-oracle.ts";
import { expandToF32 } from "./tiny-models.ts";

const MODEL = fileURLToPath(new URL("../../demo/models/sluice-small.gguf", import.meta.url));

/** Another right implementation may choose another token when the best one leads by less. */
const LEAST_MARGIN = 1e-2;

/** A greedy reply of llama.cpp. */
export interface BundledReply {
  /** The text of its tokens up to the first that is not sure. */
  readonly sure: string;
  /** Whether that is all of them: a reply of another right implementation is this text and no more. */
  readonly isWhole: boolean;
  readonly sureTokens: number;
}

/**
 * What llama.cpp answers to `question` in a new chat with the bundled model, at most `maxTokens`. It computes with a copy
 * whose tensors are expanded to F32, so that it does not round activations. Node only.
 */
export async function bundledReply(question: string, maxTokens: number): Promise<BundledReply> {
  const bytes = await readFile(MODEL);
  const { metadata } = await openGguf(memorySource(bytes));
  const tokenizer = createTokenizer(metadata);
  const prompt = readPrompt(
    { messages: [{ role: "user", content: question }] },
    { tokenizer, metadata, vocab: tokenizer.vocab, contextTokens: 512 },
  );
  const { tokens, margins } = await greedy(await expandToF32(bytes), prompt, maxTokens);
  const end = tokens.findIndex((token) => tokenizer.endTokens.has(token));
  const said = end < 0 ? tokens : tokens.slice(0, end);
  const decided = end < 0 ? margins : margins.slice(0, end + 1);
  const unsure = decided.findIndex((margin) => margin <= LEAST_MARGIN);
  const sure = unsure < 0 ? said : said.slice(0, unsure);
  return { sure: tokenizer.decode(sure), isWhole: unsure < 0, sureTokens: sure.length };
}

async function greedy(model: Uint8Array, prompt: readonly number[], count: number) {
  const folder = await mkdtemp(join(tmpdir(), "sluice-oracle-"));
  try {
    const path = join(folder, "model.gguf");
    await writeFile(path, model);
    const oracle = await openLlamaOracle(path);
    const run = await oracle.greedy(prompt, count);
    await oracle.dispose();
    return run;
  } finally {
    await rm(folder, { recursive: true });
  }
}
