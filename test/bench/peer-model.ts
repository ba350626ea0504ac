import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { tinyModel } from "../helpers/tiny-models.ts";

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
  await writeFile(out, model);
  console.log(`${out}: ${model.length} bytes`);
}
