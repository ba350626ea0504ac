import { SluiceError } from "../errors.ts";
import type { Activation, AttentionSpec, MoeSpec, Ops, Routing } from "../ops/ops.ts";
import { attentionLayers, decoderSpec, feedForward, mix, moeLayers } from "./decoder.ts";
import {
  blockWeight,
  type DecoderConfig,
  readByLayer,
  readCount,
  readDecoder,
  unsupported,
} from "./decoder-config.ts";
import type { Architecture, ModelFile, TensorSpec } from "./model.ts";
import { withRopeFactors } from "./rope-config.ts";

/** Base of the rotary embedding of sliding layers whose file does not say. */
const WINDOW_BASE = 10_000;

/**
 * Gemma 4, with experts or without: sliding and full layers of their own head sizes and counts; norms behind each block,
 * too; the dense network and the experts side by side. The smaller models' per-layer embeddings are not computed.
 * Source: llama.cpp `src/models/gemma4.cpp`.
 */
export const gemma4: Architecture = {
  read(file) {
    const config = readDecoder(file, "gemma4", "half-split", { kvHeadsByLayer: true });
    refuseSmall(file, config);
    const attention = mixedLayers(file, config);
    const moe = expertLayers(file, config);
    const { metadata } = file;
    const widths = readByLayer(metadata, "gemma4.feed_forward_length", config.layers);
    const cap = metadata.optionalNumber("gemma4.final_logit_softcapping") ?? 0;
    const scaled = attention
      .map(({ layer }) => blockWeight(layer, "layer_output_scale"))
      .filter((name) => file.shape(name));
    const resident = [
      ...attention.flatMap(({ layer }) => normTensors(config, layer, moe.has(layer))),
      ...scaled.map((name) => ({ name, shape: [1] })),
    ];
    return decoderSpec(
      config,
      { attention, moe: [...moe.values()], dense: new Map(widths.entries()) },
      (ops) => {
        const scale = Math.sqrt(config.hidden);
        let x = ops.embed("token_embd.weight", { scale }); // [tokens, hidden]
        for (const [layer, spec] of attention.entries()) {
          const name = blockWeight(layer, "layer_output_scale");
          const outputScale = scaled.includes(name) ? { scale: name } : {};
          const attended = normedAttention(ops, x, spec, config);
          x = feedForwardBlock(
            ops,
            attended,
            { layer, experts: moe.get(layer), outputScale },
            config,
          );
        }
        const last = ops.rmsNorm(ops.lastToken(x), "output_norm.weight", config.epsilon);
        const logits = ops.linear(last, config.head); // [1, vocab]
        ops.logits(cap === 0 ? logits : ops.softcap(logits, cap));
      },
      { attention: [], resident },
    );
  },
};

/** What the smaller models have and this does not compute. */
function refuseSmall({ metadata }: ModelFile, config: DecoderConfig): void {
  const refused = [
    ["gemma4.embedding_length_per_layer_input", "has embeddings for each layer"],
    ["gemma4.attention.shared_kv_layers", "has layers that share the keys of others"],
  ] as const;
  for (const [key, what] of refused) {
    const value = metadata.optionalNumber(key) ?? 0;
    if (value !== 0) throw unsupported(config, `${what} (${key} is ${value})`);
  }
}

/** Sliding layers and full ones, as the file's pattern says. A full layer without `attn_v` takes its keys for values. */
function mixedLayers(file: ModelFile, config: DecoderConfig): readonly AttentionSpec[] {
  const { metadata } = file;
  const isSliding = readPattern(file, config);
  const window = readCount(metadata, "gemma4.attention.sliding_window");
  const slidingDim = readCount(metadata, "gemma4.attention.key_length_swa");
  const slidingRope = {
    ...config.rope,
    dims: metadata.optionalNumber("gemma4.rope.dimension_count_swa") ?? slidingDim,
    base: metadata.optionalNumber("gemma4.rope.freq_base_swa") ?? WINDOW_BASE,
  };
  const fullRope = withRopeFactors(file, "gemma4", config.rope);
  return attentionLayers(config, (layer) => ({
    kvHeads: config.kvHeadsOf[layer]!,
    scale: 1,
    ...(isSliding[layer] ? { headDim: slidingDim, rope: slidingRope, window } : { rope: fullRope }),
    ...(!file.shape(blockWeight(layer, "attn_v")) && { keysAreValues: true }),
    norm: {
      over: "head",
      q: blockWeight(layer, "attn_q_norm"),
      k: blockWeight(layer, "attn_k_norm"),
      ofValues: true,
      epsilon: config.epsilon,
    },
  }));
}

/** Which layers have a window. Throws "bad-file" without one answer for each layer. */
function readPattern({ metadata }: ModelFile, { layers }: DecoderConfig): readonly boolean[] {
  const key = "gemma4.attention.sliding_window_pattern";
  const pattern = metadata.optionalBooleans(key);
  if (pattern?.length === layers) return pattern;
  throw new SluiceError(
    "bad-file",
    `${key} has ${pattern ? pattern.length : "no"} values for ${layers} layers. Get the file again or use another.`,
  );
}

/** By layer; layers without a router have a dense network alone. */
function expertLayers(file: ModelFile, config: DecoderConfig): ReadonlyMap<number, MoeSpec> {
  if ((file.metadata.optionalNumber("gemma4.expert_count") ?? 0) === 0) return new Map();
  const specs = moeLayers(file, config, {
    ffn: readCount(file.metadata, "gemma4.expert_feed_forward_length"),
    routerInput: "post-attention",
    logitScale: 1 / Math.sqrt(config.hidden),
    score: "softmax",
    renormalise: true,
    activation: "gelu",
  });
  return new Map(
    specs.map((spec) => {
      const scale = `blk.${spec.layer}.ffn_down_exps.scale`;
      return [spec.layer, file.shape(scale) ? { ...spec, expertScale: scale } : spec];
    }),
  );
}

/** The tensors of a block's norms beside those that all decoders have. */
function normTensors({ hidden }: DecoderConfig, layer: number, hasExperts: boolean): TensorSpec[] {
  const parts = ["post_attention_norm", "post_ffw_norm"];
  if (hasExperts) parts.push("post_ffw_norm_1", "pre_ffw_norm_2", "post_ffw_norm_2");
  const norms = parts.map((part) => ({ name: blockWeight(layer, part), shape: [hidden] }));
  const router = { name: routerScale(layer), shape: [hidden] };
  return hasExperts ? [...norms, router] : norms;
}

/** The weights of the norm that a router reads. */
function routerScale(layer: number): string {
  return `blk.${layer}.ffn_gate_inp.scale`;
}

/** `x + norm(attention(norm(x)))`. x `[tokens, hidden]` -> `[tokens, hidden]` */
function normedAttention<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: AttentionSpec,
  { epsilon }: DecoderConfig,
): Tensor {
  const named = (part: string) => blockWeight(spec.layer, part);
  const normed = ops.rmsNorm(x, named("attn_norm"), epsilon);
  const mixed = mix(ops, normed, spec, named); // [tokens, heads * headDim]
  const output = ops.linear(mixed, named("attn_output")); // [tokens, hidden]
  return ops.rmsNorm(output, named("post_attention_norm"), epsilon, { residual: x });
}

/** A layer's second block. */
interface SecondBlock {
  readonly layer: number;
  readonly experts: MoeSpec | undefined;
  readonly outputScale: { readonly scale?: string };
}

/**
 * `scale * (x + norm(dense(norm(x))))` or, with experts, `scale * (x + norm(norm(dense(norm(x))) + norm(moe(norm(x)))))`,
 * each norm with weights of its own. The dense network comes between the router and the experts, which may be on their
 * way meanwhile. x `[tokens, hidden]` -> `[tokens, hidden]`
 */
function feedForwardBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  { layer, experts, outputScale }: SecondBlock,
  { epsilon }: DecoderConfig,
): Tensor {
  const named = (part: string) => blockWeight(layer, part);
  const norm = (tensor: Tensor, part: string, residual?: Tensor) =>
    ops.rmsNorm(tensor, named(part), epsilon, residual && { residual });
  const choice = experts && {
    spec: experts,
    routing: ops.route(ops.rmsNorm(x, routerScale(layer), epsilon), experts),
  };
  const dense = feedForward(ops, norm(x, "ffn_norm"), named, {}, "gelu");
  let sum = dense;
  if (choice) {
    const { spec, routing } = choice;
    const chosen = ops.experts(norm(x, "pre_ffw_norm_2"), routing, spec); // [tokens, hidden]
    sum = norm(chosen, "post_ffw_norm_2", norm(dense, "post_ffw_norm_1"));
  }
  return ops.rmsNorm(sum, named("post_ffw_norm"), epsilon, {
    residual: x,
    ...outputScale,
  });
}
