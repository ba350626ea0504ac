import { normalArray, type Random } from "../../../src/numeric/random.ts";
import { type GgufKeys, g } from "../gguf-writer.ts";
import { kvHeads } from "./granite.ts";
import type { TinyArchitecture, TinySettings } from "./settings.ts";

/** Dense; convolutions in all layers but every third. Attention is as wide as the residual stream in all files. */
export const lfm2: TinyArchitecture = {
  defaults: () => ({ layers: 3, experts: 0 }),
  keys: convKeys,
  values: convFilters,
};

/** The same, with experts in all layers but the first two. */
export const lfm2moe: TinyArchitecture = {
  defaults: () => ({ layers: 4 }),
  keys: (model) => ({
    ...convKeys(model),
    leading_dense_block_count: g.u32(2),
    // llama.cpp's number of sigmoid.
    expert_gating_func: g.u32(2),
  }),
  values: convFilters,
};

function convKeys(model: TinySettings): GgufKeys {
  return {
    "shortconv.l_cache": g.u32(3),
    "attention.head_count_kv": kvHeads(model, (layer) => layer % 3 === 1),
  };
}

/** llama.cpp has filters in F32. */
function convFilters(part: string, shape: readonly number[], random: Random) {
  if (part !== "shortconv.conv") return undefined;
  const size = shape.reduce((a, b) => a * b);
  return normalArray(random, size, 1);
}
