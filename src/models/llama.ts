import type { Activation, Ops, Routing } from "../ops/ops.ts";
import {
  attentionBlock,
  attentionLayers,
  decoderSpec,
  finish,
  moeBlock,
  moeLayers,
} from "./decoder.ts";
import { blockWeight, readDecoder } from "./decoder-config.ts";
import type { Architecture } from "./model.ts";

/** Llama 3's frequency factors, when the model has them. */
const ROPE_FACTORS = "rope_freqs.weight";

/**
 * Llama, dense, and Mixtral, which is a Llama with experts: softmax router, renormalised.
 * Source: llama.cpp `src/models/llama.cpp`.
 */
export const llama: Architecture = {
  read(file) {
    const config = readDecoder(file, "llama", "interleaved");
    const factors = file.shape(ROPE_FACTORS) ? { factors: ROPE_FACTORS } : {};
    const attention = attentionLayers(config, () => ({ rope: { ...config.rope, ...factors } }));
    const ffn = file.metadata.number("llama.feed_forward_length");
    const isDense = (file.metadata.optionalNumber("llama.expert_count") ?? 0) === 0;
    const moe = isDense
      ? []
      : moeLayers(file, config, {
          ffn,
          routerInput: "post-attention",
          score: "softmax",
          renormalise: true,
          activation: "silu",
        });
    const layers = isDense ? { attention, moe, denseFfn: ffn } : { attention, moe };
    return decoderSpec(file, config, layers, (ops) => {
      let x = ops.embed("token_embd.weight"); // [tokens, hidden]
      for (const [layer, spec] of attention.entries()) {
        x = attentionBlock(ops, x, spec, config.epsilon);
        const experts = moe[layer];
        x = experts
          ? moeBlock(ops, x, experts, config.epsilon)
          : denseBlock(ops, x, layer, config.epsilon);
      }
      finish(ops, x, config);
    });
  },
};

/** `x + down(silu(gate(norm(x))) * up(norm(x)))`. x `[tokens, hidden]` -> `[tokens, hidden]` */
function denseBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  layer: number,
  epsilon: number,
): Tensor {
  const normed = ops.rmsNorm(x, blockWeight(layer, "ffn_norm"), epsilon);
  const gate = ops.linear(normed, blockWeight(layer, "ffn_gate")); // [tokens, ffn]
  const up = ops.linear(normed, blockWeight(layer, "ffn_up")); // [tokens, ffn]
  const inner = ops.gatedUnit(gate, up, "silu"); // [tokens, ffn]
  return ops.linear(inner, blockWeight(layer, "ffn_down"), { residual: x });
}
