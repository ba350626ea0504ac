import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { partNames, splitGguf } from "../helpers/gguf-layouts.ts";
import { openLlamaOracle } from "../helpers/llama-oracle.ts";
import { tinyModel } from "../helpers/tiny-models.ts";

const TOKENS = [5, 17, 99, 3];

async function logitsOf(path: string): Promise<Float32Array[]> {
  const oracle = await openLlamaOracle(path);
  try {
    return await oracle.logits(TOKENS);
  } finally {
    await oracle.dispose();
  }
}

// test/node/gguf/split.test.ts and test/gpu/engine/layouts.test.ts read the same files.
test("llama.cpp takes the tests' split files for the model that they are parts of", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-split-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const model = tinyModel({ architecture: "qwen3moe", hidden: 64, ffn: 32, headDim: 32 });
  const whole = join(folder, "whole.gguf");
  await writeFile(whole, model);
  const paths = partNames(join(folder, "tiny"), 3);
  for (const [index, part] of (await splitGguf(model, [5, 8, 100])).entries()) {
    await writeFile(paths[index]!, part);
  }

  expect(await logitsOf(paths[0]!)).toEqual(await logitsOf(whole));
});
