import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { formatOfGgmlType } from "../../../src/formats/registry.ts";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { readModel } from "../../../src/models/registry.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { createTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { publishedModels } from "../../helpers/published/models.ts";
import { writeRandomFile } from "../../helpers/published/random-file.ts";
import { temporaryFile } from "../cli/run-sluice.ts";

/** A published model's architecture in sizes that a test can read. */
const MODEL = {
  ...publishedModels.qwen3Moe,
  ...{ hidden: 256, heads: 2, kvHeads: 1, headDim: 64, experts: 4, topK: 2, ffn: 96, vocab: 400 },
};

test("a file of random weights has a model's shapes, and numbers that stay within range", async () => {
  const path = await temporaryFile("model.gguf", "");

  const { bytes } = await writeRandomFile(path, MODEL, { format: "q4_k", layers: 2 });

  const written = await readFile(path);
  expect(written.length).toBe(bytes);
  const file = await openGguf(memorySource(new Uint8Array(written)), {});
  const { metadata, tensors } = file;
  const spec = readModel({ metadata, shape: (name) => tensors.get(name)?.shape });
  expect(spec).toMatchObject({ layers: 2, hidden: 256, vocab: 400 });
  expect(
    createTokenizer(metadata).encode("the", { addBos: false, parseSpecial: false }),
  ).not.toEqual([]);
  const formatName = (name: string) => formatOfGgmlType(tensors.get(name)!.ggmlType)!.name;
  expect(formatName("blk.1.ffn_up_exps.weight")).toBe("q4_k");
  // Rows of 96 are no whole blocks of 256.
  expect(formatName("blk.1.ffn_down_exps.weight")).toBe("q8_0");
  for (const [name, deviation] of [
    ["blk.0.attn_q.weight", 1 / 16],
    ["blk.1.ffn_down_exps.weight", 1 / Math.sqrt(96)],
  ] as const) {
    const { byteOffset, bytes: length, ggmlType } = tensors.get(name)!;
    const blocks = new Uint8Array(written).slice(byteOffset, byteOffset + length);
    const values = formatOfGgmlType(ggmlType)!.decode(blocks);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.1 * deviation);
    expect(Math.sqrt(square)).toBeGreaterThan(0.8 * deviation);
    expect(Math.sqrt(square)).toBeLessThan(1.2 * deviation);
  }
});

test("the same options give the same file, another seed another", async () => {
  const write = async (seed: number) => {
    const path = await temporaryFile("model.gguf", "");
    await writeRandomFile(path, MODEL, { format: "q4_0", layers: 1, seed });
    return readFile(path);
  };

  const first = await write(1);
  expect((await write(1)).equals(first)).toBe(true);
  expect((await write(2)).equals(first)).toBe(false);
});
