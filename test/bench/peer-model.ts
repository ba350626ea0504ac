import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openGguf } from "../../src/gguf/gguf.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import { tinyModel } from "../helpers/tiny-models.ts";

/** Ids of printable ASCII, which are its bytes. */
const PRINTABLE = { first: 32, last: 126 };

/**
 * Writes the model that WebAssembly engines are compared by, with random weights: 8 layers of hidden size 512 with 32
 * experts, Q4_0. `sluice bench FILE --peers --only model` compares them.
 */
export async function main(flags: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...flags], options: { out: { type: "string" } } });
  const out = values.out;
  if (out === undefined) throw new Error("Say where to: --out FILE.");
  const model = tinyModel({
    architecture: "qwen3moe",
    ...{ layers: 8, hidden: 512, ffn: 256, experts: 32, topK: 4 },
    ...{ heads: 8, kvHeads: 4, headDim: 64, format: "q4_0", contextTokens: 2048 },
  });
  await silenceUnprintable(model);
  await writeFile(out, model);
  console.log(`${out}: ${model.length} bytes`);
}

/** Gives all tokens but printable ones a logit of 0: wllama breaks off at bytes that are no UTF-8. */
async function silenceUnprintable(model: Uint8Array): Promise<void> {
  const { tensors } = await openGguf(memorySource(model));
  const head = tensors.get("output.weight");
  if (!head) throw new Error("unreachable: the model's head is its embedding");
  const rows = head.shape[0]!;
  const rowBytes = head.bytes / rows;
  for (let row = 0; row < rows; row++) {
    if (row >= PRINTABLE.first && row <= PRINTABLE.last) continue;
    const start = head.byteOffset + row * rowBytes;
    model.fill(0, start, start + rowBytes);
  }
}
