import { SluiceError } from "../errors.ts";
import type { AttentionSpec, MoeSpec } from "../ops/ops.ts";
import { blockWeight, type DecoderConfig, unsupported } from "./decoder-config.ts";
import type { ModelFile, TensorSpec } from "./model.ts";

/** The layers of a decoder: a MoE in each, or in none. */
export interface DecoderLayers {
  readonly attention: readonly AttentionSpec[];
  readonly moe: readonly MoeSpec[];
  /** Width of a dense model's feed-forward network; a MoE's experts have theirs. */
  readonly denseFfn?: number;
}

/** Tensors that would change the computation, so a file that has one where no spec names it is refused. */
const REFUSED_TENSORS: readonly (readonly [name: string, what: string])[] = [
  ["rope_freqs.weight", "has frequency factors of the rotary embedding"],
  ["rope_factors_long.weight", "has LongRoPE"],
  ["rope_factors_short.weight", "has LongRoPE"],
  ["token_embd_norm.weight", "normalises its embeddings"],
  ["output_norm.bias", "has biases of norms"],
  ["output.bias", "has biases of the output"],
];

/** The same for tensors of a block. */
const REFUSED_BLOCK_TENSORS: readonly (readonly [name: string, what: string])[] = [
  ["attn_norm.bias", "has biases of norms"],
  ["attn_qkv.weight", "has queries, keys and values in one fused tensor"],
  ["attn_q.bias", "has biases of attention"],
  ["attn_k.bias", "has biases of attention"],
  ["attn_v.bias", "has biases of attention"],
  ["attn_output.bias", "has biases of attention"],
  ["attn_q_norm.weight", "has norms of queries"],
  ["attn_k_norm.weight", "has norms of keys"],
  ["attn_sinks.weight", "has attention sinks"],
  ["post_attention_norm.weight", "has norms after attention"],
  ["post_ffw_norm.weight", "has norms after the feed-forward network"],
  ["ffn_gate.bias", "has biases of the feed-forward network"],
  ["ffn_up.bias", "has biases of the feed-forward network"],
  ["ffn_down.bias", "has biases of the feed-forward network"],
  ["ffn_gate_inp.bias", "has biases of the router"],
  ["exp_probs_b.bias", "has biases of the choice of experts"],
  ["ffn_gate_tid2eid.weight", "has a table of experts by token id"],
  ["ffn_gate_exps.bias", "has biases of experts"],
  ["ffn_up_exps.bias", "has biases of experts"],
  ["ffn_down_exps.bias", "has biases of experts"],
  ["ffn_gate_shexp.weight", "has shared experts"],
  ["ffn_up_shexp.weight", "has shared experts"],
];

/** Every tensor that a decoder of these layers reads, under llama.cpp's names. */
export function decoderTensors(
  config: DecoderConfig,
  layers: DecoderLayers,
): { readonly resident: readonly TensorSpec[]; readonly stacked: readonly TensorSpec[] } {
  const { hidden, vocab } = config;
  const resident: TensorSpec[] = [
    { name: "token_embd.weight", shape: [vocab, hidden] },
    { name: "output_norm.weight", shape: [hidden] },
  ];
  if (config.head !== "token_embd.weight") {
    resident.push({ name: config.head, shape: [vocab, hidden] });
  }
  const factors = layers.attention[0]?.rope?.factors;
  if (factors) resident.push({ name: factors, shape: [config.rope.dims / 2] });

  for (const spec of layers.attention) {
    resident.push(...attentionTensors(spec, hidden));
    resident.push({ name: blockWeight(spec.layer, "ffn_norm"), shape: [hidden] });
    if (layers.denseFfn) resident.push(...denseTensors(spec.layer, layers.denseFfn, hidden));
  }
  for (const spec of layers.moe) {
    resident.push(routerTensor(spec, vocab));
  }
  const stacked = layers.moe.flatMap((spec) => [
    { name: spec.gate, shape: [spec.experts, spec.ffn, hidden] },
    { name: spec.up, shape: [spec.experts, spec.ffn, hidden] },
    { name: spec.down, shape: [spec.experts, hidden, spec.ffn] },
  ]);
  return { resident, stacked };
}

function routerTensor({ router, routerInput, experts, topK, hidden }: MoeSpec, vocab: number) {
  return routerInput === "token"
    ? { name: router, shape: [vocab, topK], idsBelow: experts }
    : { name: router, shape: [experts, hidden] };
}

/** The tensors of one attention block, named as `attentionBlock` names them. */
export function attentionTensors(
  spec: AttentionSpec,
  hidden: number,
  named: (part: string) => string = (part) => blockWeight(spec.layer, part),
): TensorSpec[] {
  const { heads, kvHeads, headDim, norm } = spec;
  const queryWidth = heads * headDim;
  const keyWidth = kvHeads * headDim;
  const tensors: TensorSpec[] = [
    { name: named("attn_norm"), shape: [hidden] },
    { name: named("attn_q"), shape: [queryWidth, hidden] },
    { name: named("attn_k"), shape: [keyWidth, hidden] },
    { name: named("attn_v"), shape: [keyWidth, hidden] },
    { name: named("attn_output"), shape: [hidden, queryWidth] },
  ];
  if (norm) {
    tensors.push({ name: norm.q, shape: [norm.over === "head" ? headDim : queryWidth] });
    tensors.push({ name: norm.k, shape: [norm.over === "head" ? headDim : keyWidth] });
  }
  return tensors;
}

function denseTensors(layer: number, ffn: number, hidden: number): TensorSpec[] {
  return [
    { name: blockWeight(layer, "ffn_gate"), shape: [ffn, hidden] },
    { name: blockWeight(layer, "ffn_up"), shape: [ffn, hidden] },
    { name: blockWeight(layer, "ffn_down"), shape: [hidden, ffn] },
  ];
}

/**
 * Throws unless the file has every tensor in the wanted shape ("bad-file") and none that would change the result
 * ("unsupported-model").
 */
export function checkTensors(
  file: ModelFile,
  config: DecoderConfig,
  resident: readonly TensorSpec[],
  stacked: readonly TensorSpec[],
): void {
  const wanted = [...resident, ...stacked];
  const names = new Set(wanted.map(({ name }) => name));
  const refuse = (name: string, what: string) => {
    if (!names.has(name) && file.shape(name)) throw unsupported(config, `${what} (${name})`);
  };
  for (const [name, what] of REFUSED_TENSORS) refuse(name, what);
  for (let layer = 0; layer < config.layers; layer++) {
    for (const [name, what] of REFUSED_BLOCK_TENSORS) refuse(`blk.${layer}.${name}`, what);
  }
  for (const { name, shape } of wanted) {
    const got = file.shape(name);
    if (!got) {
      throw new SluiceError(
        "bad-file",
        `The file has no tensor ${name} (wanted [${shape}] for a ${config.architecture} model). It may be damaged or ` +
          "only a part of a split model.",
      );
    }
    if (got.length === shape.length && got.every((length, axis) => length === shape[axis]))
      continue;
    // PowerInfer's conversions of SmallThinker store the down projection so that a neuron is a contiguous row.
    if (name.endsWith("ffn_down_exps.weight") && `${got}` === `${[shape[0], shape[2], shape[1]]}`) {
      continue;
    }
    throw new SluiceError(
      "bad-file",
      `Tensor ${name} is [${got}]; the model's metadata wants [${shape}].`,
    );
  }
}
