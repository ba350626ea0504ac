import { SluiceError } from "../errors.ts";
import type { AttentionSpec, MoeSpec } from "../ops/ops.ts";
import type { RecurrentSpec } from "../ops/recurrent.ts";
import { blockWeight, type DecoderConfig, unsupported } from "./decoder-config.ts";
import type { ModelFile, ModelSpec, TensorSpec } from "./model.ts";
import { recurrentTensors } from "./recurrent.ts";

/** The layers of a decoder. */
export interface DecoderLayers {
  readonly attention: readonly AttentionSpec[];
  /** Layers with a recurrent state in the place of attention. */
  readonly recurrent?: readonly RecurrentSpec[];
  readonly moe: readonly MoeSpec[];
  /** Width of the dense feed-forward network of each layer that has one. */
  readonly dense?: ReadonlyMap<number, number>;
  /** Width of the shared experts of each layer that has them, which are one network. */
  readonly shared?: ReadonlyMap<number, number>;
  /** Whether they count by the sigmoid of a number that a row of weights makes of what they read. */
  readonly isSharedGated?: boolean;
  /** The norm between attention and what follows: `ffn_norm` when absent. */
  readonly ffnNorm?: string;
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
    { name: config.finalNorm, shape: [hidden] },
  ];
  if (config.head !== "token_embd.weight") {
    resident.push({ name: config.head, shape: [vocab, hidden] });
  }
  const numbers = Array.from({ length: config.layers }, (_, layer) => layer);
  const blocks = blockTensors(config, layers, numbers);
  resident.push(...blocks.resident);
  return { resident, stacked: blocks.stacked };
}

/** The tensors of the blocks `numbers`, whose layers these are. */
export function blockTensors(
  { hidden, vocab }: Pick<DecoderConfig, "hidden" | "vocab">,
  layers: DecoderLayers,
  numbers: readonly number[],
): { readonly resident: readonly TensorSpec[]; readonly stacked: readonly TensorSpec[] } {
  const resident: TensorSpec[] = ropeTensors(layers.attention);
  for (const spec of layers.attention) {
    // Those of latent attention depend on how the file has them: its architecture names them.
    if (!spec.latent) resident.push(...attentionTensors(spec, hidden));
  }
  for (const spec of layers.recurrent ?? []) resident.push(...recurrentTensors(spec, hidden));
  for (const layer of numbers) {
    resident.push({ name: blockWeight(layer, layers.ffnNorm ?? "ffn_norm"), shape: [hidden] });
    const ffn = layers.dense?.get(layer);
    if (ffn !== undefined) resident.push(...denseTensors(layer, ffn, hidden));
    const shared = layers.shared?.get(layer);
    if (shared !== undefined) resident.push(...denseTensors(layer, shared, hidden, "_shexp"));
    if (shared !== undefined && layers.isSharedGated) {
      const name = blockWeight(layer, "ffn_gate_inp_shexp");
      resident.push({ name, shape: [1, hidden], decoded: true });
    }
  }
  for (const spec of layers.moe) {
    resident.push(routerTensor(spec, vocab), ...expertVectors(spec));
  }
  return { resident, stacked: layers.moe.flatMap(expertTensors) };
}

/** What a router has of each expert beside its row. */
function expertVectors({ experts, routerBias, selectionBias, expertScale }: MoeSpec): TensorSpec[] {
  return [routerBias, selectionBias, expertScale]
    .filter((name) => name !== undefined)
    .map((name) => ({ name, shape: [experts] }));
}

/** The parts of a layer's experts. */
function expertTensors(spec: MoeSpec): TensorSpec[] {
  const { experts, ffn, hidden, gateBias, upBias, downBias } = spec;
  const biases = [
    [gateBias, ffn],
    [upBias, ffn],
    [downBias, hidden],
  ] as const;
  return [
    { name: spec.gate, shape: [experts, ffn, hidden] },
    { name: spec.up, shape: [experts, ffn, hidden] },
    { name: spec.down, shape: [experts, hidden, ffn] },
    ...biases.flatMap(([name, width]) => (name ? [{ name, shape: [experts, width] }] : [])),
  ];
}

/** The factors of all rotary embeddings, each once. */
function ropeTensors(attention: readonly AttentionSpec[]): TensorSpec[] {
  const tensors = attention.flatMap(({ rope }) => {
    const names = [rope?.factors, rope?.longFactors?.tensor].filter((name) => name !== undefined);
    return names.map((name) => [name, { name, shape: [rope!.dims / 2] }] as const);
  });
  return [...new Map(tensors).values()];
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
  const { heads, kvHeads, headDim, valueDim = headDim, fused, keysAreValues, norm, sinks } = spec;
  const widths = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * valueDim };
  const all = widths.q + widths.k + widths.v;
  const tensors: TensorSpec[] = [{ name: named("attn_norm"), shape: [hidden] }];
  if (fused !== undefined) {
    tensors.push({ name: fused, shape: [all, hidden] });
  } else {
    tensors.push(
      { name: named("attn_q"), shape: [widths.q, hidden] },
      { name: named("attn_k"), shape: [widths.k, hidden] },
    );
    if (!keysAreValues) tensors.push({ name: named("attn_v"), shape: [widths.v, hidden] });
  }
  tensors.push({ name: named("attn_output"), shape: [hidden, heads * valueDim] });
  const biasWidths = { ...widths, fused: all, output: hidden };
  for (const [part, name] of Object.entries(spec.biases ?? {})) {
    tensors.push({ name, shape: [biasWidths[part as keyof typeof biasWidths]] });
  }
  if (norm) {
    tensors.push({ name: norm.q, shape: [norm.over === "head" ? headDim : widths.q] });
    tensors.push({ name: norm.k, shape: [norm.over === "head" ? headDim : widths.k] });
  }
  if (sinks !== undefined) tensors.push({ name: sinks, shape: [heads] });
  return tensors;
}

function denseTensors(layer: number, ffn: number, hidden: number, ending = ""): TensorSpec[] {
  return [
    { name: blockWeight(layer, `ffn_gate${ending}`), shape: [ffn, hidden] },
    { name: blockWeight(layer, `ffn_up${ending}`), shape: [ffn, hidden] },
    { name: blockWeight(layer, `ffn_down${ending}`), shape: [hidden, ffn] },
  ];
}

/**
 * Throws unless the file has every tensor in the wanted shape ("bad-file") and none that would change the result
 * ("unsupported-model").
 */
export function checkTensors(file: ModelFile, model: ModelSpec): void {
  const wanted = [...model.resident, ...model.stacked];
  const names = new Set(wanted.map(({ name }) => name));
  const refuse = (name: string, what: string) => {
    if (!names.has(name) && file.shape(name)) throw unsupported(model, `${what} (${name})`);
  };
  for (const [name, what] of REFUSED_TENSORS) refuse(name, what);
  for (let layer = 0; layer < model.layers; layer++) {
    for (const [name, what] of REFUSED_BLOCK_TENSORS) refuse(`blk.${layer}.${name}`, what);
  }
  for (const { name, shape } of wanted) {
    const got = file.shape(name);
    if (!got) {
      throw new SluiceError(
        "bad-file",
        `The file has no tensor ${name} (wanted [${shape}] for a ${model.architecture} model). It may be damaged or ` +
          "only a part of a split model.",
      );
    }
    if (`${withoutLeadingOnes(got)}` === `${withoutLeadingOnes(shape)}`) continue;
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

/** A shape without leading axes of length 1: some of llama.cpp's tools leave them out. */
function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((length) => length !== 1);
  return first < 0 ? [] : shape.slice(first);
}
