import type {
  Activation,
  HeadLinearOptions,
  LatentAttentionSpec,
  Ops,
  Routing,
} from "../ops/ops.ts";
import { blockWeight, type DecoderConfig, readCount, unsupported } from "./decoder-config.ts";
import type { ModelFile, TensorSpec } from "./model.ts";
import { readScoreScale } from "./rope-config.ts";

/** What all layers of multi-head latent attention share. */
export interface LatentConfig {
  /** Width of the compressed keys and values. */
  readonly rank: number;
  /** Width of the compressed queries; undefined where queries are not compressed. */
  readonly queryRank: number | undefined;
  /** Of a query's head: first the dimensions without positions, then `ropeDims` with. */
  readonly queryDim: number;
  readonly ropeDims: number;
  /** Of a head's values, once they are expanded. */
  readonly valueDim: number;
  /** The matrices of keys and of values are tensors of their own. */
  readonly isSplit: boolean;
}

/**
 * Reads the widths. Files of old conversions have neither `key_length_mla` nor the matrices of keys and values split.
 * Throws "bad-file" for widths that cannot be.
 */
export function readLatent(file: ModelFile, config: DecoderConfig): LatentConfig {
  const { metadata } = file;
  const key = (name: string) => `${config.architecture}.attention.${name}`;
  const isSplit = (metadata.optionalNumber(key("key_length_mla")) ?? 0) > 0;
  const length = (name: string) => readCount(metadata, key(isSplit ? `${name}_mla` : name));
  const ropeDims = config.rope.dims;
  const queryDim = readCount(metadata, key(isSplit ? "key_length_mla" : "key_length"));
  if (queryDim <= ropeDims) {
    throw unsupported(config, `rotates all ${queryDim} dimensions of its queries`);
  }
  const hasQueryRank = (metadata.optionalNumber(key("q_lora_rank")) ?? 0) > 0;
  return {
    rank: readCount(metadata, key("kv_lora_rank")),
    queryRank: hasQueryRank ? readCount(metadata, key("q_lora_rank")) : undefined,
    queryDim,
    ropeDims,
    valueDim: length("value_length"),
    isSplit,
  };
}

/**
 * The attention of every layer: all heads share one row of keys, of which the compressed part is the values, too.
 * Throws what {@link readLatent} throws.
 */
export function latentLayers(
  file: ModelFile,
  config: DecoderConfig,
  { rank, queryDim, ropeDims }: LatentConfig,
): readonly LatentAttentionSpec[] {
  const { rope, scoreScale } = readScoreScale(file, config.architecture, config.rope);
  return Array.from({ length: config.layers }, (_, layer) => ({
    layer,
    heads: config.heads,
    kvHeads: 1,
    headDim: rank + ropeDims,
    valueDim: rank,
    valuesInKeys: true,
    scale: scoreScale / Math.sqrt(queryDim),
    rope: { ...rope, first: rank },
    latent: { norm: blockWeight(layer, "attn_kv_a_norm"), epsilon: config.epsilon },
  }));
}

/** The tensors of one block, under llama.cpp's names. */
export function latentTensors(
  config: DecoderConfig,
  latent: LatentConfig,
  layer: number,
): TensorSpec[] {
  const { hidden, heads } = config;
  const { rank, queryRank, queryDim, ropeDims, valueDim, isSplit } = latent;
  const keyDim = queryDim - ropeDims;
  const shapes: Readonly<Record<string, readonly number[]>> = {
    attn_norm: [hidden],
    ...(queryRank === undefined
      ? { attn_q: [heads * queryDim, hidden] }
      : {
          attn_q_a: [queryRank, hidden],
          attn_q_a_norm: [queryRank],
          attn_q_b: [heads * queryDim, queryRank],
        }),
    attn_kv_a_mqa: [rank + ropeDims, hidden],
    attn_kv_a_norm: [rank],
    ...(isSplit
      ? { attn_k_b: [heads, rank, keyDim], attn_v_b: [heads, valueDim, rank] }
      : { attn_kv_b: [heads * (keyDim + valueDim), rank] }),
    attn_output: [hidden, heads * valueDim],
  };
  return Object.entries(shapes).map(([part, shape]) => ({ name: blockWeight(layer, part), shape }));
}

/**
 * `x + attention(norm(x))`, where keys and values stay compressed: instead of the expansion of every key, each query
 * goes through the matrix of keys (it is absorbed), and the mixture of compressed values is expanded once.
 * x `[tokens, hidden]` -> `[tokens, hidden]`. Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
 */
export function latentBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: LatentAttentionSpec,
  latent: LatentConfig,
  epsilon: number,
): Tensor {
  const named = (part: string) => blockWeight(spec.layer, part);
  const { keys, values } = expansions(latent, spec);
  const normed = ops.rmsNorm(x, named("attn_norm"), epsilon);
  const q = queries(ops, normed, latent, named, epsilon); // [tokens, heads * queryDim]
  const kv = ops.linear(normed, named("attn_kv_a_mqa")); // [tokens, rank + ropeDims]
  const absorbed = ops.headLinear(q, named(keys.part), keys.options); // [tokens, heads * rank]
  const mixed = ops.latentAttention({ q, absorbed, kv }, spec); // [tokens, heads * rank]
  const expanded = ops.headLinear(mixed, named(values.part), values.options); // [tokens, heads * valueDim]
  return ops.linear(expanded, named("attn_output"), { residual: x });
}

function queries<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  normed: Tensor,
  { queryRank }: LatentConfig,
  named: (part: string) => string,
  epsilon: number,
): Tensor {
  if (queryRank === undefined) return ops.linear(normed, named("attn_q"));
  const compressed = ops.linear(normed, named("attn_q_a")); // [tokens, queryRank]
  return ops.linear(ops.rmsNorm(compressed, named("attn_q_a_norm"), epsilon), named("attn_q_b"));
}

/** A part of the block that holds matrices of heads, and which of their rows count. */
interface Expansion {
  readonly part: string;
  readonly options: HeadLinearOptions;
}

/**
 * Where the matrices of keys and values lie. The unsplit tensor has, for each head, the rows of keys and then those of
 * values; split tensors have the matrix of keys transposed. So neither form is changed when it is loaded, and both keep
 * one short row for each token in the cache: DeepSeek-V2-Lite's 576 numbers instead of 16 · (192 + 128).
 */
function expansions(
  { isSplit, queryDim, ropeDims, valueDim }: LatentConfig,
  { heads }: LatentAttentionSpec,
): { readonly keys: Expansion; readonly values: Expansion } {
  if (isSplit) {
    return {
      keys: { part: "attn_k_b", options: { heads } },
      values: { part: "attn_v_b", options: { heads } },
    };
  }
  const keyDim = queryDim - ropeDims;
  const part = "attn_kv_b";
  const keys = { first: 0, count: keyDim };
  const values = { first: keyDim, count: valueDim };
  return {
    keys: { part, options: { heads, rows: keys, transposed: true } },
    values: { part, options: { heads, rows: values } },
  };
}
