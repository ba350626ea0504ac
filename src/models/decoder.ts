import type {
  Activation,
  ActivationName,
  AttentionSpec,
  LinearOptions,
  MoeSpec,
  Ops,
  Routing,
} from "../ops/ops.ts";
import { blockWeight, type DecoderConfig, readCount } from "./decoder-config.ts";
import { type DecoderLayers, decoderTensors } from "./decoder-tensors.ts";
import type { ModelFile, ModelSpec, TensorSpec } from "./model.ts";

/** The same attention in every layer that attends; an architecture overrides what differs. */
export function attentionLayers(
  config: DecoderConfig,
  override: (layer: number) => Partial<AttentionSpec> = () => ({}),
): readonly AttentionSpec[] {
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  const attending = layers.filter((layer) => !config.recurrentLayers.has(layer));
  return attending.map((layer) => ({
    layer,
    heads: config.heads,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    ...(config.valueDim !== config.headDim && { valueDim: config.valueDim }),
    scale: 1 / Math.sqrt(config.headDim),
    rope: config.rope,
    ...config.projections(layer),
    ...override(layer),
  }));
}

/** The norm of q and k under its usual names. */
export function queryKeyNorm(
  config: DecoderConfig,
  layer: number,
  over: "head" | "all-heads",
): Required<Pick<AttentionSpec, "norm">> {
  const q = blockWeight(layer, "attn_q_norm");
  const k = blockWeight(layer, "attn_k_norm");
  return { norm: { over, q, k, epsilon: config.epsilon } };
}

/**
 * A MoE in each of `layers` (all of them), with its own experts, under the usual keys and names.
 */
export function moeLayers(
  file: ModelFile,
  config: DecoderConfig,
  rule: Pick<
    MoeSpec,
    "ffn" | "routerInput" | "logitScale" | "score" | "renormalise" | "activation"
  >,
  layers: readonly number[] = Array.from({ length: config.layers }, (_, layer) => layer),
): readonly MoeSpec[] {
  const key = (name: string) => `${config.architecture}.${name}`;
  const experts = readCount(file.metadata, key("expert_count"));
  const topK = readCount(file.metadata, key("expert_used_count"), experts);
  return layers.map((layer, pool) => ({
    layer,
    pool,
    experts,
    topK,
    hidden: config.hidden,
    router: blockWeight(layer, "ffn_gate_inp"),
    // 0 stands for "not set" in files.
    scale: file.metadata.optionalNumber(key("expert_weights_scale")) || 1,
    gate: blockWeight(layer, "ffn_gate_exps"),
    up: blockWeight(layer, "ffn_up_exps"),
    down: blockWeight(layer, "ffn_down_exps"),
    ...rule,
  }));
}

/** What a decoder has beside its layers. */
export interface BesideLayers {
  /** Further attention blocks, numbered on from the layers: each has a KV cache. */
  readonly attention: readonly AttentionSpec[];
  readonly resident: readonly TensorSpec[];
}

/** The spec of a decoder. Whether the file's tensors are those that it names is checked later, for all models alike. */
export function decoderSpec(
  config: DecoderConfig,
  layers: DecoderLayers,
  forward: ModelSpec["forward"],
  beside: BesideLayers = { attention: [], resident: [] },
): ModelSpec {
  const { resident: ofLayers, stacked } = decoderTensors(config, layers);
  const resident = [...ofLayers, ...beside.resident];
  return {
    architecture: config.architecture,
    layers: config.layers,
    hidden: config.hidden,
    vocab: config.vocab,
    contextTokens: config.contextTokens,
    attention: [...layers.attention, ...beside.attention],
    recurrent: layers.recurrent ?? [],
    moe: layers.moe,
    resident,
    stacked,
    forward,
  };
}

/**
 * A decoder whose layers are attention, then experts that are routed by what they read and perhaps shared ones, or a
 * dense network.
 */
export function plainDecoder(config: DecoderConfig, layers: DecoderLayers): ModelSpec {
  const experts = new Map(layers.moe.map((spec) => [spec.layer, spec]));
  const shared = (layer: number) => {
    if (!layers.shared?.has(layer)) return "none";
    return layers.isSharedGated ? "gated" : "plain";
  };
  return decoderSpec(config, layers, (ops) => {
    let x = ops.embed("token_embd.weight"); // [tokens, hidden]
    for (const spec of layers.attention) {
      x = attentionBlock(ops, x, spec, config.epsilon);
      const moe = experts.get(spec.layer);
      x = moe
        ? moeBlock(ops, x, moe, config.epsilon, { shared: shared(spec.layer) })
        : denseBlock(ops, x, spec.layer, config.epsilon);
    }
    finish(ops, x, config);
  });
}

/** What differs from one decoder's blocks to another's. */
export interface BlockOptions {
  /** What a block's output counts beside the residual; 1 when absent. */
  readonly scale?: number;
  /** The tensor of each part: `attn_norm`, `attn_q`, …; by default the layer's. */
  readonly named?: (part: string) => string;
}

/** `x + scale * attention(norm(x))`. x `[tokens, hidden]` -> `[tokens, hidden]` */
export function attentionBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: AttentionSpec,
  epsilon: number,
  { scale = 1, named = (part) => blockWeight(spec.layer, part) }: BlockOptions = {},
): Tensor {
  return normedAttention(ops, ops.rmsNorm(x, named("attn_norm"), epsilon), spec, x, {
    scale,
    named,
  });
}

/** `residual + scale * attention(x)`, x being normalised already. x, residual `[tokens, hidden]` -> `[tokens, hidden]` */
export function normedAttention<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: AttentionSpec,
  residual: Tensor,
  { scale = 1, named = (part) => blockWeight(spec.layer, part) }: BlockOptions = {},
): Tensor {
  const mixed = mix(ops, x, spec, named); // [tokens, heads * valueDim]
  return ops.linear(mixed, named("attn_output"), { ...bias(spec.biases?.output), residual, scale });
}

/** What every head attends to. x `[tokens, hidden]`, normalised -> `[tokens, heads * valueDim]` */
export function mix<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: AttentionSpec,
  named: (part: string) => string,
): Tensor {
  const { fused, biases } = spec;
  if (fused !== undefined) {
    const all = ops.linear(x, fused, bias(biases?.fused)); // [tokens, (heads + kvHeads) * headDim + kvHeads * valueDim]
    return ops.attention(all, all, all, spec);
  }
  const q = ops.linear(x, named("attn_q"), bias(biases?.q)); // [tokens, heads * headDim]
  const k = ops.linear(x, named("attn_k"), bias(biases?.k)); // [tokens, kvHeads * headDim]
  // [tokens, kvHeads * valueDim]
  const v = spec.keysAreValues ? k : ops.linear(x, named("attn_v"), bias(biases?.v));
  return ops.attention(q, k, v, spec);
}

function bias(name: string | undefined): { readonly bias?: string } {
  return name === undefined ? {} : { bias: name };
}

/** `x + scale * dense(norm(x))`. x `[tokens, hidden]` -> `[tokens, hidden]` */
export function denseBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  layer: number,
  epsilon: number,
  { scale = 1, named = (part) => blockWeight(layer, part) }: BlockOptions = {},
): Tensor {
  const normed = ops.rmsNorm(x, named("ffn_norm"), epsilon);
  return feedForward(ops, normed, named, { residual: x, scale });
}

/**
 * `down(act(gate(x)) * up(x))`, and what `output` says. x `[tokens, hidden]` -> `[tokens, hidden]`
 *
 * @param named the tensors of `ffn_gate`, `ffn_up` and `ffn_down`
 */
export function feedForward<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  named: (part: string) => string,
  output: LinearOptions<Tensor> = {},
  activation: ActivationName = "silu",
): Tensor {
  const gate = ops.linear(x, named("ffn_gate")); // [tokens, ffn]
  const up = ops.linear(x, named("ffn_up")); // [tokens, ffn]
  return ops.linear(ops.gatedUnit(gate, up, activation), named("ffn_down"), output);
}

/** Shared experts of a layer: `gated` ones count by the sigmoid of a number that a row of weights makes. */
export type SharedExperts = "none" | "plain" | "gated";

/**
 * `x + scale * shared(norm(x)) + moe(norm(x))`, where the router reads what the experts read; a scale of theirs is in
 * `spec.scale`. The shared experts come between the router and the others, which may be on their way meanwhile.
 * x `[tokens, hidden]` -> `[tokens, hidden]`
 */
export function moeBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: MoeSpec,
  epsilon: number,
  { shared = "none", scale = 1 }: { readonly shared?: SharedExperts; readonly scale?: number } = {},
): Tensor {
  const named = (part: string) => blockWeight(spec.layer, part);
  const normed = ops.rmsNorm(x, named("ffn_norm"), epsilon);
  const choice = ops.route(normed, spec);
  return ops.experts(normed, choice, spec, { residual: withShared() });

  function withShared(): Tensor {
    if (shared === "none") return x;
    const ofShared = (part: string) => named(`${part}_shexp`);
    if (shared === "plain") return feedForward(ops, normed, ofShared, { residual: x, scale });
    const gate = ops.linear(normed, ofShared("ffn_gate_inp")); // [tokens, 1]
    return ops.add(x, feedForward(ops, normed, ofShared, { scale }), { gate });
  }
}

/** Ends a pass: the logits after its last token, times `scale` (1). x `[tokens, hidden]` */
export function finish<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  config: DecoderConfig,
  { scale = 1 }: Pick<BlockOptions, "scale"> = {},
): void {
  const last = ops.rmsNorm(ops.lastToken(x), config.finalNorm, config.epsilon); // [1, hidden]
  ops.logits(ops.linear(last, config.head, { scale })); // [1, vocab]
}
