import type { WeightFormatName } from "../../../src/formats/registry.ts";
import type { ArchitectureName } from "../../../src/models/registry.ts";
import type { Random } from "../../../src/numeric/random.ts";
import type { RouterInput } from "../../../src/ops/ops.ts";
import type { ScoreFunctionName } from "../../../src/routing/registry.ts";
import type { GgufKeys } from "../gguf-writer.ts";

/** How a tiny model's latent attention is made and stored. */
export interface TinyLatent {
  /** Width of the compressed keys and values. */
  readonly rank: number;
  /** Width of the compressed queries; 0: they are not compressed. */
  readonly queryRank: number;
  readonly valueDim: number;
  /** Stored in tensors of keys and of values, or in one. */
  readonly isSplit: boolean;
}

/** What a tiny model is like. Everything has a default but the architecture. */
export interface TinyModelOptions {
  readonly architecture: ArchitectureName;
  /** How matrices are stored; norms, routers and factors are F32. Default `f32`. */
  readonly format?: WeightFormatName;
  /** How some matrices are stored, by name: `blk.0.ffn_up_exps.weight`. Default: as the others. */
  readonly formats?: Readonly<Record<string, WeightFormatName>>;
  /** How the embedding and the output matrix are stored. Default: as matrices. */
  readonly embeddingFormat?: WeightFormatName;
  /** Default 2. */
  readonly layers?: number;
  /** Default 256, the least that K-quants allow. */
  readonly hidden?: number;
  /** Width of an expert, or of a dense model's network. Default 256. */
  readonly ffn?: number;
  /** Default 4. */
  readonly heads?: number;
  /** Default 2, or `heads` for olmoe, whose files have no others. */
  readonly kvHeads?: number;
  /** Default 64. */
  readonly headDim?: number;
  /** Default 8, or 0 (dense) for llama: more make it a Mixtral. */
  readonly experts?: number;
  /** Default 2. */
  readonly topK?: number;
  /** Default 256. */
  readonly contextTokens?: number;
  /** The logits come from the embedding. Default false. */
  readonly tiedHead?: boolean;
  /** smallthinker only. Default `sigmoid`. */
  readonly score?: ScoreFunctionName;
  /** smallthinker only: sliding windows, and layers without positions. Default false. */
  readonly windows?: boolean;
  /** ernie4_5-moe and bailingmoe2 only: dense layers before those with experts. Default 1. */
  readonly denseLead?: number;
  /** ernie4_5-moe only: every so many layers have experts. Default 1. */
  readonly moeStep?: number;
  /** ernie4_5-moe and bailingmoe2 only: the choice of experts is biased. Default true. */
  readonly selectionBias?: boolean;
  /** bailingmoe2 only: has a block that predicts a further token. Default false. */
  readonly predicts?: boolean;
  /** gpt-oss only: tokens of its sliding windows. Default 8. */
  readonly window?: number;
  /** sluice only. Default `post-attention`. */
  readonly routerInput?: RouterInput;
  /** Linear scaling of positions. Default none. */
  readonly ropeScale?: number;
  /** llama only: has `rope_freqs.weight`, or LongRoPE's two tensors. Default none. */
  readonly ropeFactors?: "llama 3" | "longrope" | "none";
  /** deepseek2 only. Default: DeepSeek-V2-Lite's form. */
  readonly latent?: TinyLatent;
  /** llama only: queries, keys and values come from one matrix, with a bias. Default false. */
  readonly fused?: boolean;
  /** Default and least 320: every byte, a few merges and some special tokens. */
  readonly vocab?: number;
  /** Keys to add or to put in the place of others, such as a chat template. */
  readonly keys?: GgufKeys;
  /** Default 1. */
  readonly seed?: number;
}

/** The same with every default in its place. */
export type TinySettings = Required<TinyModelOptions>;

/** What tiny files of one architecture have that others do not. */
export interface TinyArchitecture {
  /** Settings in the place of the usual ones, where the options do not say. */
  readonly defaults?: (options: { readonly heads: number }) => Partial<TinySettings>;
  /** Keys to add or to put in the place of the usual ones, without the architecture's name in front. */
  readonly keys?: (model: TinySettings) => GgufKeys;
  /** Tensors which the architecture's reader only asks for if they are there, and their shapes. */
  readonly optional?: (model: TinySettings) => Readonly<Record<string, readonly number[]>>;
  /**
   * Numbers of a tensor that would not do as others are made (around 0 for matrices and biases, around 1 for norms);
   * stored as F32. `part` is the name without its block and ending: `attn_q`.
   */
  readonly values?: (
    part: string,
    shape: readonly number[],
    random: Random,
  ) => Float32Array<ArrayBuffer> | undefined;
}
