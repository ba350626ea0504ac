import type { TinySettings } from "./settings.ts";

/** The biases of every layer's attention, for {@link TinyArchitecture.optional}. */
export function attentionBiases(
  { layers, hidden, heads, kvHeads, headDim }: TinySettings,
  parts: readonly ("attn_q" | "attn_k" | "attn_v" | "attn_output")[],
): Readonly<Record<string, readonly number[]>> {
  const widths = {
    attn_q: heads * headDim,
    attn_k: kvHeads * headDim,
    attn_v: kvHeads * headDim,
    attn_output: hidden,
  };
  const all = Array.from({ length: layers }, (_, layer) =>
    parts.map((part) => [`blk.${layer}.${part}.bias`, [widths[part]]] as const),
  );
  return Object.fromEntries(all.flat());
}
