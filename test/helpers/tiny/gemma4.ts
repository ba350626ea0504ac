import { normalArray } from "../../../src/numeric/random.ts";
import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Every third layer is full: twice the head size, one KV head, and keys that are values. */
const isFull = (layer: number) => layer % 3 === 1;

/** Sliding layers have heads half as large as full ones, whose size is the model's. */
export const gemma4: TinyArchitecture = {
  defaults: () => ({ layers: 3 }),
  keys: (model) => {
    const layers = Array.from({ length: model.layers }, (_, layer) => layer);
    const [full, sliding] = [g.u32(model.headDim), g.u32(model.headDim / 2)];
    return {
      feed_forward_length: g.u32(2 * model.ffn),
      embedding_length_per_layer_input: g.u32(0),
      "attention.shared_kv_layers": g.u32(0),
      "attention.head_count_kv": g.i32s(layers.map((layer) => (isFull(layer) ? 1 : model.kvHeads))),
      "attention.key_length": full,
      "attention.value_length": full,
      "attention.key_length_swa": sliding,
      "attention.value_length_swa": sliding,
      "attention.sliding_window": g.u32(7),
      "attention.sliding_window_pattern": g.bools(layers.map((layer) => !isFull(layer))),
      "rope.dimension_count": full,
      "rope.dimension_count_swa": sliding,
      "rope.freq_base": g.f32(1_000_000),
      "rope.freq_base_swa": g.f32(10_000),
      final_logit_softcapping: g.f32(5),
    };
  },
  optional: (model) => {
    const tensors: Record<string, readonly number[]> = { "rope_freqs.weight": [model.headDim / 2] };
    for (let layer = 0; layer < model.layers; layer++) {
      const values = [(model.kvHeads * model.headDim) / 2, model.hidden];
      if (!isFull(layer)) tensors[`blk.${layer}.attn_v.weight`] = values;
      tensors[`blk.${layer}.layer_output_scale.weight`] = [1];
      tensors[`blk.${layer}.ffn_down_exps.scale`] = [model.experts];
    }
    return tensors;
  },
  values: (part, [length], random) => {
    // A quarter of the head is rotated.
    if (part === "rope_freqs") {
      return Float32Array.from({ length: length! }, (_, pair) => (pair < length! / 4 ? 1 : 1e30));
    }
    // Nothing divides the scores by the size of a head.
    if (part === "attn_q_norm" || part === "attn_k_norm") {
      return normalArray(random, length!, 0.2).map((value) => value + 0.6);
    }
    return undefined;
  },
};
