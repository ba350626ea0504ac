import type { PublishedModel } from "./models.ts";

/** A tensor of a published model: vectors and routers are F32, the other matrices as the file's scheme says. */
export interface PublishedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: "f32" | "matrix" | "expert";
}

type Block = (model: PublishedModel, layer: number) => readonly PublishedTensor[];

/** The blocks of an architecture, in llama.cpp's names. Source: llama.cpp `src/models`. */
interface Blocks {
  readonly attention: Block;
  readonly feedForward: Block;
  /** Beside the embedding, the head and the norm before it. */
  readonly global?: (model: PublishedModel) => readonly PublishedTensor[];
  /** The norm before the head. Default `output_norm.weight`. */
  readonly outputNorm?: string;
}

const vector = (name: string, ...shape: number[]): PublishedTensor => ({
  name,
  shape,
  kind: "f32",
});
const matrix = (name: string, ...shape: number[]): PublishedTensor => ({
  ...{ name, shape },
  kind: "matrix",
});
const expert = (name: string, ...shape: number[]): PublishedTensor => ({
  ...{ name, shape },
  kind: "expert",
});

/** Query, key, value and output projections, with the parts that some architectures add. */
const attention =
  (parts: { readonly qkNorm?: "head" | "all"; readonly biases?: readonly string[] } = {}): Block =>
  ({ hidden, heads, kvHeads, headDim }) => {
    const [queries, keys] = [heads * headDim, kvHeads * headDim];
    const widths: Record<string, number> = { q: queries, k: keys, v: keys, output: hidden };
    const normed = parts.qkNorm === "head" ? [headDim, headDim] : [queries, keys];
    return [
      vector("attn_norm.weight", hidden),
      matrix("attn_q.weight", queries, hidden),
      matrix("attn_k.weight", keys, hidden),
      matrix("attn_v.weight", keys, hidden),
      matrix("attn_output.weight", hidden, queries),
      ...(parts.biases ?? []).map((part) => vector(`attn_${part}.bias`, widths[part]!)),
      ...(parts.qkNorm
        ? [vector("attn_q_norm.weight", normed[0]!), vector("attn_k_norm.weight", normed[1]!)]
        : []),
    ];
  };

const fusedAttention: Block = ({ hidden, heads, kvHeads, headDim }) => [
  vector("attn_norm.weight", hidden),
  matrix("attn_qkv.weight", (heads + 2 * kvHeads) * headDim, hidden),
  matrix("attn_output.weight", hidden, heads * headDim),
  vector("attn_q_norm.weight", headDim),
  vector("attn_k_norm.weight", headDim),
];

const latentAttention: Block = ({ hidden, heads, latent }) => {
  const { qRank, kvRank, nope, rope, value } = latent!;
  const queries = heads * (nope + rope);
  return [
    vector("attn_norm.weight", hidden),
    ...(qRank === undefined
      ? [matrix("attn_q.weight", queries, hidden)]
      : [
          matrix("attn_q_a.weight", qRank, hidden),
          vector("attn_q_a_norm.weight", qRank),
          matrix("attn_q_b.weight", queries, qRank),
        ]),
    matrix("attn_kv_a_mqa.weight", kvRank + rope, hidden),
    vector("attn_kv_a_norm.weight", kvRank),
    matrix("attn_k_b.weight", heads, kvRank, nope),
    matrix("attn_v_b.weight", heads, value, kvRank),
    matrix("attn_output.weight", hidden, heads * value),
  ];
};

/** Every sixth layer sees all positions: wider heads, and values that are its keys. */
const gemma4Attention: Block = (model, layer) => {
  const full = (layer + 1) % 6 === 0;
  const shape = full ? { ...model, headDim: 512, kvHeads: 2 } : model;
  const tensors = attention({ qkNorm: "head" })(shape, layer);
  return [
    ...tensors.filter(({ name }) => !full || name !== "attn_v.weight"),
    vector("post_attention_norm.weight", model.hidden),
    vector("layer_output_scale.weight", 1),
  ];
};

const shortConvolution: Block = ({ hidden }) => [
  vector("attn_norm.weight", hidden),
  vector("shortconv.conv.weight", hidden, 3),
  matrix("shortconv.in_proj.weight", 3 * hidden, hidden),
  matrix("shortconv.out_proj.weight", hidden, hidden),
];

/** Mamba 2 with 48 heads of 64 and a state of 128. */
const stateSpace: Block = ({ hidden }) => {
  const [inner, state, heads, kernel] = [3072, 128, 48, 4] as const;
  const convolved = inner + 2 * state;
  return [
    vector("attn_norm.weight", hidden),
    matrix("ssm_in.weight", inner + convolved + heads, hidden),
    vector("ssm_conv1d.weight", convolved, kernel),
    vector("ssm_conv1d.bias", convolved),
    vector("ssm_dt.bias", heads),
    vector("ssm_a", heads, 1),
    vector("ssm_d", heads, 1),
    vector("ssm_norm.weight", 1, inner),
    matrix("ssm_out.weight", hidden, inner),
  ];
};

const hybrid =
  (recurrent: Block, attends: Block): Block =>
  (model, layer) =>
    (model.attentionLayers?.includes(layer) ? attends : recurrent)(model, layer);

const network = (suffix: string, ffn: number, hidden: number) => [
  matrix(`ffn_gate${suffix}.weight`, ffn, hidden),
  matrix(`ffn_up${suffix}.weight`, ffn, hidden),
  matrix(`ffn_down${suffix}.weight`, hidden, ffn),
];

/** Experts, or a dense network in the first layers, behind a norm. */
const feedForward =
  (
    parts: {
      readonly selectionBias?: boolean;
      readonly gatedShared?: boolean;
      readonly norm?: string;
    } = {},
  ): Block =>
  ({ hidden, ffn, experts, dense, sharedFfn }, layer) => {
    const norm = vector(`${parts.norm ?? "ffn_norm"}.weight`, hidden);
    if (layer < (dense?.layers ?? 0)) return [norm, ...network("", dense!.ffn, hidden)];
    return [
      norm,
      vector("ffn_gate_inp.weight", experts, hidden),
      ...(parts.selectionBias ? [vector("exp_probs_b.bias", experts)] : []),
      expert("ffn_gate_exps.weight", experts, ffn, hidden),
      expert("ffn_up_exps.weight", experts, ffn, hidden),
      expert("ffn_down_exps.weight", experts, hidden, ffn),
      ...(sharedFfn === undefined ? [] : network("_shexp", sharedFfn, hidden)),
      ...(parts.gatedShared ? [vector("ffn_gate_inp_shexp.weight", hidden)] : []),
    ];
  };

const gptOssFeedForward: Block = (model, layer) => {
  const { hidden, ffn, experts } = model;
  return [
    ...feedForward({ norm: "post_attention_norm" })(model, layer),
    vector("ffn_gate_inp.bias", experts),
    vector("ffn_gate_exps.bias", experts, ffn),
    vector("ffn_up_exps.bias", experts, ffn),
    vector("ffn_down_exps.bias", experts, hidden),
  ];
};

/** A dense network beside the experts, and norms around each of the two; gate and up of experts in one tensor. */
const gemma4FeedForward: Block = ({ hidden, ffn, experts, sharedFfn = 0 }) => [
  vector("ffn_norm.weight", hidden),
  ...network("", sharedFfn, hidden),
  vector("post_ffw_norm.weight", hidden),
  vector("ffn_gate_inp.weight", experts, hidden),
  vector("ffn_gate_inp.scale", hidden),
  vector("pre_ffw_norm_2.weight", hidden),
  vector("post_ffw_norm_1.weight", hidden),
  vector("post_ffw_norm_2.weight", hidden),
  expert("ffn_gate_up_exps.weight", experts, 2 * ffn, hidden),
  expert("ffn_down_exps.weight", experts, hidden, ffn),
  vector("ffn_down_exps.scale", experts),
];

/** Each norm with its bias. */
const withNormBiases =
  (block: Block): Block =>
  (model, layer) =>
    block(model, layer).flatMap((tensor) =>
      /^(?:attn|ffn)_norm\.weight$/.test(tensor.name)
        ? [tensor, vector(tensor.name.replace("weight", "bias"), model.hidden)]
        : [tensor],
    );

const ALL_BIASES = ["q", "k", "v", "output"];

const BLOCKS: Readonly<Record<string, Blocks>> = {
  smallthinker: { attention: attention(), feedForward: feedForward() },
  llama: { attention: attention(), feedForward: feedForward() },
  granitemoe: { attention: attention(), feedForward: feedForward() },
  olmoe: { attention: attention({ qkNorm: "all" }), feedForward: feedForward() },
  qwen3moe: { attention: attention({ qkNorm: "head" }), feedForward: feedForward() },
  qwen2moe: {
    attention: attention({ biases: ["q", "k", "v"] }),
    feedForward: feedForward({ gatedShared: true }),
  },
  "ernie4_5-moe": { attention: attention(), feedForward: feedForward({ selectionBias: true }) },
  bailingmoe2: { attention: fusedAttention, feedForward: feedForward({ selectionBias: true }) },
  deepseek2: {
    attention: latentAttention,
    feedForward: (model, layer) =>
      feedForward({ selectionBias: model.name.startsWith("GLM") })(model, layer),
  },
  granitehybrid: { attention: hybrid(stateSpace, attention()), feedForward: feedForward() },
  lfm2moe: {
    attention: hybrid(shortConvolution, attention({ qkNorm: "head" })),
    feedForward: feedForward({ selectionBias: true }),
    outputNorm: "token_embd_norm.weight",
  },
  "gpt-oss": {
    attention: (model, layer) => [
      ...attention({ biases: ALL_BIASES })(model, layer),
      vector("attn_sinks.weight", model.heads),
    ],
    feedForward: gptOssFeedForward,
  },
  phimoe: {
    attention: withNormBiases(attention({ biases: ALL_BIASES })),
    feedForward: withNormBiases(feedForward()),
    global: ({ hidden, vocab }) => [
      vector("output_norm.bias", hidden),
      vector("output.bias", vocab),
    ],
  },
  gemma4: {
    attention: gemma4Attention,
    feedForward: gemma4FeedForward,
    global: () => [vector("rope_freqs.weight", 256)],
  },
};

/** All tensors of a published model, as llama.cpp's converter names and orders them. */
export function publishedTensors(model: PublishedModel): PublishedTensor[] {
  const { architecture, layers, hidden, vocab, tied } = model;
  const blocks = BLOCKS[architecture];
  if (!blocks) throw new Error(`nothing is known of the tensors of ${architecture}`);
  return [
    matrix("token_embd.weight", vocab, hidden),
    ...(tied ? [] : [matrix("output.weight", vocab, hidden)]),
    vector(blocks.outputNorm ?? "output_norm.weight", hidden),
    ...(blocks.global?.(model) ?? []),
    ...Array.from({ length: layers }, (_, layer) =>
      [...blocks.attention(model, layer), ...blocks.feedForward(model, layer)].map((tensor) => ({
        ...tensor,
        name: `blk.${layer}.${tensor.name}`,
      })),
    ).flat(),
  ];
}
