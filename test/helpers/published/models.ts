import { type GgufKeys, g } from "../gguf-writer.ts";

/**
 * A published model, as its configuration says. Sources: the models' config.json and GGUF files; figures of bytes are
 * computed from these shapes at 0.5625 bytes a weight (Q4_0, Q4_K), gpt-oss's experts at 0.53125 (MXFP4).
 */
export interface PublishedModel {
  readonly name: string;
  readonly architecture: string;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly topK: number;
  /** Width of an expert. */
  readonly ffn: number;
  readonly vocab: number;
  /** The logits come from the embedding. */
  readonly tied: boolean;
  readonly contextTokens: number;
  readonly ropeBase: number;
  /** Layers at the start without experts, and their width. */
  readonly dense?: { readonly layers: number; readonly ffn: number };
  /** Width of all shared experts together, or of a dense network beside the experts. */
  readonly sharedFfn?: number;
  /** Layers with attention, where others have a recurrent state. */
  readonly attentionLayers?: readonly number[];
  /** Latent attention: ranks and widths of a head's parts. */
  readonly latent?: {
    readonly qRank?: number;
    readonly kvRank: number;
    readonly nope: number;
    readonly rope: number;
    readonly value: number;
  };
  /** How experts are stored; the other matrices are Q4_0. */
  readonly expertFormat?: "q4_0" | "mxfp4";
  /** More keys, without the architecture's name in front. */
  readonly keys?: GgufKeys;
  readonly expected: {
    /** Of one expert, without biases. */
    readonly expertBytes: number;
    /** In all layers. */
    readonly experts: number;
    /** What a token reads besides experts, in millions of bytes: not the embedding, unless the head is tied to it. */
    readonly residentMb: number;
  };
}

/** Gating functions by GGUF's numbers. */
const SOFTMAX = 1;
const SIGMOID = 2;

const smallThinker4b: PublishedModel = {
  name: "SmallThinker-4B-A0.6B",
  architecture: "smallthinker",
  ...{ layers: 32, hidden: 1536, heads: 12, kvHeads: 2, headDim: 128, experts: 32, topK: 4 },
  ...{ ffn: 768, vocab: 151_936, tied: true, contextTokens: 32_768, ropeBase: 1.5e6 },
  keys: { expert_gating_func: g.u32(SIGMOID) },
  expected: { expertBytes: 1_990_656, experts: 1024, residentMb: 231 },
};

const smallThinker21b: PublishedModel = {
  name: "SmallThinker-21B-A3B",
  architecture: "smallthinker",
  ...{ layers: 52, hidden: 2560, heads: 28, kvHeads: 4, headDim: 128, experts: 64, topK: 6 },
  ...{ ffn: 768, vocab: 151_936, tied: false, contextTokens: 16_384, ropeBase: 1.5e6 },
  keys: { expert_gating_func: g.u32(SOFTMAX), "attention.sliding_window": g.u32(4096) },
  expected: { expertBytes: 3_317_760, experts: 3328, residentMb: 837 },
};

const olmoe: PublishedModel = {
  name: "OLMoE-1B-7B",
  architecture: "olmoe",
  ...{ layers: 16, hidden: 2048, heads: 16, kvHeads: 16, headDim: 128, experts: 64, topK: 8 },
  ...{ ffn: 1024, vocab: 50_304, tied: false, contextTokens: 4096, ropeBase: 1e4 },
  expected: { expertBytes: 3_538_944, experts: 1024, residentMb: 210 },
};

const granite31Moe1b: PublishedModel = {
  name: "Granite-3.1-1B-A400M",
  architecture: "granitemoe",
  ...{ layers: 24, hidden: 1024, heads: 16, kvHeads: 8, headDim: 64, experts: 32, topK: 8 },
  ...{ ffn: 512, vocab: 49_155, tied: true, contextTokens: 131_072, ropeBase: 1.5e6 },
  keys: {
    "attention.scale": g.f32(0.015625),
    embedding_scale: g.f32(12),
    residual_scale: g.f32(0.22),
    logit_scale: g.f32(6),
  },
  expected: { expertBytes: 884_736, experts: 768, residentMb: 71 },
};

const granite31Moe3b: PublishedModel = {
  name: "Granite-3.1-3B-A800M",
  architecture: "granitemoe",
  ...{ layers: 32, hidden: 1536, heads: 24, kvHeads: 8, headDim: 64, experts: 40, topK: 8 },
  ...{ ffn: 512, vocab: 49_155, tied: true, contextTokens: 131_072, ropeBase: 1e7 },
  keys: {
    "attention.scale": g.f32(0.015625),
    embedding_scale: g.f32(12),
    residual_scale: g.f32(0.22),
    logit_scale: g.f32(6),
  },
  expected: { expertBytes: 1_327_104, experts: 1280, residentMb: 157 },
};

const granite4Tiny: PublishedModel = {
  name: "Granite-4.0-H-Tiny",
  architecture: "granitehybrid",
  ...{ layers: 40, hidden: 1536, heads: 12, kvHeads: 4, headDim: 128, experts: 64, topK: 6 },
  ...{ ffn: 512, vocab: 100_352, tied: true, contextTokens: 131_072, ropeBase: 1e4 },
  sharedFfn: 1024,
  attentionLayers: [5, 15, 25, 35],
  keys: {
    "ssm.conv_kernel": g.u32(4),
    "ssm.inner_size": g.u32(3072),
    "ssm.state_size": g.u32(128),
    "ssm.time_step_rank": g.u32(48),
    "ssm.group_count": g.u32(1),
    "rope.scaling.finetuned": g.bool(false),
    "attention.scale": g.f32(0.0078125),
    embedding_scale: g.f32(12),
    residual_scale: g.f32(0.22),
    logit_scale: g.f32(6),
  },
  expected: { expertBytes: 1_327_104, experts: 2560, residentMb: 505 },
};

const qwen15Moe: PublishedModel = {
  name: "Qwen1.5-MoE-A2.7B",
  architecture: "qwen2moe",
  ...{ layers: 24, hidden: 2048, heads: 16, kvHeads: 16, headDim: 128, experts: 60, topK: 4 },
  ...{ ffn: 1408, vocab: 151_936, tied: false, contextTokens: 8192, ropeBase: 1e6 },
  sharedFfn: 5632,
  expected: { expertBytes: 4_866_048, experts: 1440, residentMb: 870 },
};

const qwen3Moe: PublishedModel = {
  name: "Qwen3-30B-A3B",
  architecture: "qwen3moe",
  ...{ layers: 48, hidden: 2048, heads: 32, kvHeads: 4, headDim: 128, experts: 128, topK: 8 },
  ...{ ffn: 768, vocab: 151_936, tied: false, contextTokens: 40_960, ropeBase: 1e6 },
  expected: { expertBytes: 2_654_208, experts: 6144, residentMb: 692 },
};

const deepSeekV2Lite: PublishedModel = {
  name: "DeepSeek-V2-Lite",
  architecture: "deepseek2",
  ...{ layers: 27, hidden: 2048, heads: 16, kvHeads: 1, headDim: 192, experts: 64, topK: 6 },
  ...{ ffn: 1408, vocab: 102_400, tied: false, contextTokens: 163_840, ropeBase: 1e4 },
  dense: { layers: 1, ffn: 10_944 },
  sharedFfn: 2816,
  latent: { kvRank: 512, nope: 128, rope: 64, value: 128 },
  keys: {
    expert_shared_count: g.u32(2),
    expert_weights_scale: g.f32(1),
    expert_weights_norm: g.bool(false),
    expert_gating_func: g.u32(SOFTMAX),
    "rope.scaling.type": g.string("yarn"),
    "rope.scaling.factor": g.f32(40),
    "rope.scaling.original_context_length": g.u32(4096),
    "rope.scaling.yarn_log_multiplier": g.f32(0.0707),
  },
  expected: { expertBytes: 4_866_048, experts: 1664, residentMb: 620 },
};

const glm47Flash: PublishedModel = {
  name: "GLM-4.7-Flash",
  architecture: "deepseek2",
  ...{ layers: 47, hidden: 2048, heads: 20, kvHeads: 1, headDim: 256, experts: 64, topK: 4 },
  ...{ ffn: 1536, vocab: 154_880, tied: false, contextTokens: 202_752, ropeBase: 1e6 },
  dense: { layers: 1, ffn: 10_240 },
  sharedFfn: 1536,
  latent: { qRank: 768, kvRank: 512, nope: 192, rope: 64, value: 256 },
  keys: {
    expert_shared_count: g.u32(1),
    expert_weights_scale: g.f32(1.8),
    expert_weights_norm: g.bool(true),
    expert_gating_func: g.u32(SIGMOID),
  },
  expected: { expertBytes: 5_308_416, experts: 2944, residentMb: 1037 },
};

const gptOss20b: PublishedModel = {
  name: "gpt-oss-20b",
  architecture: "gpt-oss",
  ...{ layers: 24, hidden: 2880, heads: 64, kvHeads: 8, headDim: 64, experts: 32, topK: 4 },
  ...{ ffn: 2880, vocab: 201_088, tied: false, contextTokens: 131_072, ropeBase: 1.5e5 },
  expertFormat: "mxfp4",
  keys: {
    "attention.sliding_window": g.u32(128),
    "rope.scaling.type": g.string("yarn"),
    "rope.scaling.factor": g.f32(32),
    "rope.scaling.original_context_length": g.u32(4096),
  },
  expected: { expertBytes: 13_219_200, experts: 768, residentMb: 685 },
};

const phiMini: PublishedModel = {
  name: "Phi-mini-MoE",
  architecture: "phimoe",
  ...{ layers: 32, hidden: 4096, heads: 32, kvHeads: 8, headDim: 128, experts: 16, topK: 2 },
  ...{ ffn: 960, vocab: 32_064, tied: false, contextTokens: 4096, ropeBase: 1e4 },
  expected: { expertBytes: 6_635_520, experts: 512, residentMb: 830 },
};

const phiTiny: PublishedModel = {
  ...phiMini,
  name: "Phi-tiny-MoE",
  ...{ heads: 16, kvHeads: 4, ffn: 448 },
  expected: { expertBytes: 3_096_576, experts: 512, residentMb: 453 },
};

const lfm2Moe: PublishedModel = {
  name: "LFM2-8B-A1B",
  architecture: "lfm2moe",
  ...{ layers: 24, hidden: 2048, heads: 32, kvHeads: 8, headDim: 64, experts: 32, topK: 4 },
  ...{ ffn: 1792, vocab: 65_536, tied: true, contextTokens: 128_000, ropeBase: 1e6 },
  dense: { layers: 2, ffn: 7168 },
  attentionLayers: [2, 6, 10, 14, 18, 21],
  keys: { expert_gating_func: g.u32(SIGMOID), "shortconv.l_cache": g.u32(3) },
  expected: { expertBytes: 6_193_152, experts: 704, residentMb: 331 },
};

const lingMini: PublishedModel = {
  name: "Ling-mini-2.0",
  architecture: "bailingmoe2",
  ...{ layers: 20, hidden: 2048, heads: 16, kvHeads: 4, headDim: 128, experts: 256, topK: 8 },
  ...{ ffn: 512, vocab: 157_184, tied: false, contextTokens: 32_768, ropeBase: 6e5 },
  dense: { layers: 1, ffn: 5120 },
  sharedFfn: 512,
  keys: {
    "rope.dimension_count": g.u32(64),
    expert_shared_count: g.u32(1),
    expert_group_count: g.u32(8),
    expert_group_used_count: g.u32(4),
    expert_weights_scale: g.f32(2.5),
    expert_weights_norm: g.bool(true),
    expert_gating_func: g.u32(SIGMOID),
  },
  expected: { expertBytes: 1_769_472, experts: 4864, residentMb: 356 },
};

const ernie45: PublishedModel = {
  name: "ERNIE-4.5-21B-A3B",
  architecture: "ernie4_5-moe",
  ...{ layers: 28, hidden: 2560, heads: 20, kvHeads: 4, headDim: 128, experts: 64, topK: 6 },
  ...{ ffn: 1536, vocab: 103_424, tied: true, contextTokens: 131_072, ropeBase: 5e5 },
  dense: { layers: 1, ffn: 12_288 },
  sharedFfn: 3072,
  keys: { expert_shared_count: g.u32(2), interleave_moe_layer_step: g.u32(1) },
  expected: { expertBytes: 6_635_520, experts: 1728, residentMb: 811 },
};

const mixtral: PublishedModel = {
  name: "Mixtral-8x7B",
  architecture: "llama",
  ...{ layers: 32, hidden: 4096, heads: 32, kvHeads: 8, headDim: 128, experts: 8, topK: 2 },
  ...{ ffn: 14_336, vocab: 32_000, tied: false, contextTokens: 32_768, ropeBase: 1e6 },
  expected: { expertBytes: 99_090_432, experts: 256, residentMb: 829 },
};

const gemma4: PublishedModel = {
  name: "Gemma-4-26B-A4B",
  architecture: "gemma4",
  ...{ layers: 30, hidden: 2816, heads: 16, kvHeads: 8, headDim: 256, experts: 128, topK: 8 },
  ...{ ffn: 704, vocab: 262_144, tied: true, contextTokens: 262_144, ropeBase: 1e6 },
  sharedFfn: 2112,
  keys: {
    "attention.sliding_window": g.u32(1024),
    "attention.sliding_window_pattern": g.bools(
      Array.from({ length: 30 }, (_, layer) => (layer + 1) % 6 !== 0),
    ),
    "attention.key_length": g.u32(512),
    "attention.value_length": g.u32(512),
    "attention.key_length_swa": g.u32(256),
    "attention.value_length_swa": g.u32(256),
    "attention.head_count_kv": g.i32s(
      Array.from({ length: 30 }, (_, layer) => ((layer + 1) % 6 === 0 ? 2 : 8)),
    ),
    "rope.freq_base_swa": g.f32(1e4),
    "rope.dimension_count": g.u32(512),
    "rope.dimension_count_swa": g.u32(256),
    embedding_length_per_layer_input: g.u32(0),
    "attention.shared_kv_layers": g.u32(0),
    final_logit_softcapping: g.f32(30),
  },
  expected: { expertBytes: 3_345_408, experts: 3840, residentMb: 1347 },
};

/** Every published model whose configuration is known here. */
export const publishedModels = {
  smallThinker4b,
  smallThinker21b,
  olmoe,
  granite31Moe1b,
  granite31Moe3b,
  granite4Tiny,
  qwen15Moe,
  qwen3Moe,
  deepSeekV2Lite,
  glm47Flash,
  gptOss20b,
  phiMini,
  phiTiny,
  lfm2Moe,
  lingMini,
  ernie45,
  mixtral,
  gemma4,
} as const satisfies Record<string, PublishedModel>;
