import { normalArray } from "../../../src/numeric/random.ts";
import type { TinyArchitecture, TinySettings } from "./settings.ts";

/** The tensors of factors that a file has, without the ending of their names. */
const FACTORS: Record<TinySettings["ropeFactors"], readonly string[]> = {
  none: [],
  "llama 3": ["rope_freqs"],
  longrope: ["rope_factors_long", "rope_factors_short"],
};

/** Dense, unless experts are asked for. */
export const llama: TinyArchitecture = {
  defaults: () => ({ experts: 0 }),
  optional: (model) => ({
    ...Object.fromEntries(
      FACTORS[model.ropeFactors].map((part) => [`${part}.weight`, [model.headDim / 2]]),
    ),
    ...(model.fused && fusedProjections(model)),
  }),
  values: (part, [pairs], random) =>
    part.startsWith("rope_f")
      ? normalArray(random, pairs!).map((value) => 1 + 7 * value * value)
      : undefined,
};

function fusedProjections({ layers, hidden, heads, kvHeads, headDim }: TinySettings) {
  const width = (heads + 2 * kvHeads) * headDim;
  const tensors = Array.from({ length: layers }, (_, layer) => [
    [`blk.${layer}.attn_qkv.weight`, [width, hidden]],
    [`blk.${layer}.attn_qkv.bias`, [width]],
  ]);
  return Object.fromEntries(tensors.flat());
}
