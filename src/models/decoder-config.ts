import { SluiceError } from "../errors.ts";
import type { AttentionSpec, RopeSpec } from "../ops/ops.ts";
import type { ModelFile, ModelMetadata } from "./model.ts";
import { readRope } from "./rope-config.ts";

/** What the metadata of every decoder says under the same keys. */
export interface DecoderConfig {
  readonly architecture: string;
  readonly layers: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly contextTokens: number;
  readonly heads: number;
  /** Of the layers that attend. */
  readonly kvHeads: number;
  /** KV heads of each layer. */
  readonly kvHeadsOf: readonly number[];
  /** Layers with a recurrent state in the place of attention: those whose count of KV heads is 0. */
  readonly recurrentLayers: ReadonlySet<number>;
  /** Of queries and keys. */
  readonly headDim: number;
  /** Of values. */
  readonly valueDim: number;
  /** Of every RMS norm. */
  readonly epsilon: number;
  readonly rope: RopeSpec;
  /** How a layer's queries, keys and values are made, by the tensors that the file has. */
  projections(layer: number): Projections;
  /** Matrix of the logits: `output.weight`, or the embedding when the file has none (a tied head). */
  readonly head: string;
  /** Weights of the norm before it. */
  readonly finalNorm: string;
}

/** What files of one architecture may have in one way or another. */
export type Projections = Pick<AttentionSpec, "fused" | "biases">;

/** The name of a block's weight: `blk.3.attn_q.weight`. */
export function blockWeight(layer: number, name: string): string {
  return `blk.${layer}.${name}.weight`;
}

/** More layers than any model has: a damaged file must not ask for billions. */
const MAX_LAYERS = 1024;

/** A whole number from 1 to `most`. Throws "bad-file" naming the key. */
export function readCount(
  metadata: ModelMetadata,
  key: string,
  most = Number.MAX_SAFE_INTEGER,
): number {
  const count = metadata.number(key);
  if (Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new SluiceError("bad-file", `${key} is ${count}; wanted a whole number from 1 to ${most}.`);
}

/** A number for each layer, from a key that has one for each or one for all. Throws "bad-file" for another count of them. */
export function readByLayer(
  metadata: ModelMetadata,
  key: string,
  layers: number,
  otherwise?: number,
): readonly number[] {
  const value = metadata.optionalNumberOrArray(key) ?? otherwise ?? metadata.number(key);
  if (typeof value === "number") return new Array<number>(layers).fill(value);
  if (value.length === layers) return value;
  throw new SluiceError(
    "bad-file",
    `${key} has ${value.length} numbers for ${layers} layers. Get the file again or use another.`,
  );
}

/** The error for a file that is sound but needs something that Sluice does not compute. */
export function unsupported(config: { readonly architecture: string }, what: string): SluiceError {
  return new SluiceError(
    "unsupported-model",
    `This ${config.architecture} model ${what}, which Sluice does not compute. Choose another model or conversion.`,
  );
}

/** Keys that change the computation, the values at which they do not, and what they stand for. */
const REFUSED_KEYS: readonly (readonly [key: string, neutral: readonly number[], what: string])[] =
  [
    ["attention.clamp_kqv", [0], "clamps queries, keys and values"],
    ["attention.max_alibi_bias", [0], "has ALiBi positions"],
    ["expert_group_count", [0, 1], "routes within groups of experts"],
    ["expert_shared_count", [0], "has shared experts"],
    ["leading_dense_block_count", [0], "starts with dense layers"],
    ["nextn_predict_layers", [0], "has layers for multi-token prediction"],
  ];

/** What an architecture computes beyond what all do. */
export interface DecoderAbilities {
  /** Keys of {@link REFUSED_KEYS} that it reads itself. */
  readonly keys?: readonly string[];
  /** Layers without KV heads are recurrent. */
  readonly recurrent?: boolean;
  /** Layers may differ in their count of KV heads. */
  readonly kvHeadsByLayer?: boolean;
}

/** Reads what decoders share. Throws "unsupported-model" for what would change the result and is not computed here. */
export function readDecoder(
  file: ModelFile,
  architecture: string,
  pairing: RopeSpec["pairing"],
  { keys = [], recurrent = false, kvHeadsByLayer = false }: DecoderAbilities = {},
): DecoderConfig {
  const { metadata } = file;
  const key = (name: string) => `${architecture}.${name}`;
  const hidden = readCount(metadata, key("embedding_length"));
  const heads = readCount(metadata, key("attention.head_count"));
  const layers = readCount(metadata, key("block_count"), MAX_LAYERS);
  const kvHeadsOf = readByLayer(metadata, key("attention.head_count_kv"), layers, heads);
  const kvHeads = kvHeadsOf.find((count) => count !== 0) ?? heads;
  const headDim = metadata.optionalNumber(key("attention.key_length")) ?? hidden / heads;
  const valueDim = metadata.optionalNumber(key("attention.value_length")) ?? hidden / heads;
  const ropeDims = metadata.optionalNumber(key("rope.dimension_count")) ?? headDim;

  for (const [name, neutral, what] of REFUSED_KEYS) {
    const value = metadata.optionalNumber(key(name));
    if (value !== undefined && !neutral.includes(value) && !keys.includes(name)) {
      throw unsupported({ architecture }, `${what} (${key(name)} is ${value})`);
    }
  }
  const isPaired = Number.isInteger(ropeDims / 2) && ropeDims > 0 && ropeDims <= headDim;
  const attending = kvHeadsOf.filter((count) => count !== 0);
  const groups = attending.map((count) => heads / count);
  const areWhole = [headDim / 2, valueDim / 2, ...groups].every(Number.isInteger);
  if (!isPaired || !areWhole) {
    throw new SluiceError(
      "bad-file",
      `${key("attention")}: ${heads} heads, ${kvHeads} KV heads of ${headDim} dimensions for keys (${ropeDims} of them ` +
        `rotated) and ${valueDim} for values; wanted a whole number of heads for each KV head, and even dimensions.`,
    );
  }

  const isOther = (count: number) => count !== kvHeads && !(recurrent && count === 0);
  if (!kvHeadsByLayer && kvHeadsOf.some(isOther)) {
    throw unsupported(
      { architecture },
      `has other KV heads in some layers than in others (${key("attention.head_count_kv")} is ${kvHeadsOf})`,
    );
  }

  const embedding = file.shape("token_embd.weight");
  return {
    architecture,
    layers,
    hidden,
    // A file without the embedding is refused when its tensors are checked.
    vocab: embedding?.[0] ?? 0,
    contextTokens: readCount(metadata, key("context_length")),
    heads,
    kvHeads,
    kvHeadsOf,
    recurrentLayers: new Set([...kvHeadsOf.keys()].filter((layer) => kvHeadsOf[layer] === 0)),
    headDim,
    valueDim,
    epsilon: metadata.number(key("attention.layer_norm_rms_epsilon")),
    rope: readRope(file, architecture, ropeDims, pairing),
    projections: (layer) => readProjections(file, layer),
    head: file.shape("output.weight") ? "output.weight" : "token_embd.weight",
    finalNorm: "output_norm.weight",
  };
}

function readProjections(file: ModelFile, layer: number): Projections {
  const has = (name: string) => file.shape(name) !== undefined;
  const fused = blockWeight(layer, "attn_qkv");
  const parts = has(fused)
    ? { fused: "attn_qkv", output: "attn_output" }
    : { q: "attn_q", k: "attn_k", v: "attn_v", output: "attn_output" };
  const biases = Object.entries(parts)
    .map(([part, tensor]) => [part, `blk.${layer}.${tensor}.bias`] as const)
    .filter(([, name]) => has(name));
  return {
    ...(has(fused) && { fused }),
    ...(biases.length > 0 && { biases: Object.fromEntries(biases) }),
  };
}
