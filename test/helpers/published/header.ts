import { GGML_TYPES } from "../../../src/gguf/ggml-types.ts";
import type { ByteSource } from "../../../src/storage/byte-source.ts";
import { type GgufKeys, g, writeGgufHeader } from "../gguf-writer.ts";
import type { PublishedModel } from "./models.ts";
import { type PublishedTensor, publishedTensors } from "./tensors.ts";

/** GGML's numbers of the types that are used here. */
const GGML = { f32: 0, f16: 1, q4_0: 2, q8_0: 8, mxfp4: 39 } as const;

/** How the matrices of a file are stored. */
export interface Scheme {
  /** Default: Q4_0. */
  readonly matrices?: keyof typeof GGML;
  /** The embedding and the head. Default: as matrices. */
  readonly vocabulary?: keyof typeof GGML;
}

/**
 * The file of a published model without its weights: real keys and a real tensor table, as long as the real file, and
 * zeros where the weights would be. Reading those throws, so that what only needs a header is seen to.
 */
export function publishedFile(model: PublishedModel, scheme: Scheme = {}): ByteSource {
  const tensors = publishedTensors(model).map((tensor) => {
    const ggmlType = GGML[formatOf(tensor, model, scheme)];
    const { blockWeights, blockBytes } = GGML_TYPES.get(ggmlType)!;
    const weights = tensor.shape.reduce((product, length) => product * length, 1);
    return {
      ...{ name: tensor.name, shape: tensor.shape, ggmlType },
      bytes: (weights / blockWeights) * blockBytes,
    };
  });
  const { header, fileBytes } = writeGgufHeader({ metadata: publishedKeys(model), tensors });
  return {
    name: `${model.name}.gguf`,
    bytes: fileBytes,
    async read(offset, length) {
      // A header is read in windows, the last of which reaches past its end.
      if (offset >= header.length) throw new Error(`weights of ${model.name} are read`);
      const bytes = new Uint8Array(length);
      bytes.set(header.subarray(offset, offset + length));
      return bytes;
    },
  };
}

function formatOf(
  { name, kind }: PublishedTensor,
  { expertFormat = "q4_0" }: PublishedModel,
  { matrices = "q4_0", vocabulary = matrices }: Scheme,
): keyof typeof GGML {
  if (kind === "f32") return "f32";
  if (kind === "expert") return expertFormat;
  return name === "token_embd.weight" || name === "output.weight" ? vocabulary : matrices;
}

/** The keys of a published model, without those of its tokenizer. */
export function publishedKeys(model: PublishedModel): GgufKeys {
  const { architecture, dense, sharedFfn, latent } = model;
  const keys: GgufKeys = {
    block_count: g.u32(model.layers),
    context_length: g.u32(model.contextTokens),
    embedding_length: g.u32(model.hidden),
    vocab_size: g.u32(model.vocab),
    feed_forward_length: g.u32(dense?.ffn ?? (architecture === "gemma4" ? sharedFfn! : model.ffn)),
    "attention.head_count": g.u32(model.heads),
    "attention.head_count_kv": kvHeadsOf(model),
    "attention.layer_norm_rms_epsilon": g.f32(1e-5),
    "attention.layer_norm_epsilon": g.f32(1e-5),
    "rope.freq_base": g.f32(model.ropeBase),
    expert_count: g.u32(model.experts),
    expert_used_count: g.u32(model.topK),
    expert_feed_forward_length: g.u32(model.ffn),
    ...(dense && { leading_dense_block_count: g.u32(dense.layers) }),
    ...(sharedFfn !== undefined &&
      architecture !== "gemma4" && {
        expert_shared_feed_forward_length: g.u32(sharedFfn),
      }),
    ...(latent ? latentKeys(latent) : headKeys(model)),
    ...model.keys,
  };
  return {
    "general.architecture": g.string(architecture),
    "general.name": g.string(model.name),
    ...Object.fromEntries(
      Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]),
    ),
  };
}

function headKeys({ headDim }: PublishedModel): GgufKeys {
  return {
    "attention.key_length": g.u32(headDim),
    "attention.value_length": g.u32(headDim),
    "rope.dimension_count": g.u32(headDim),
  };
}

/** As llama.cpp's converter writes them for absorbed latent attention: one KV head as wide as the latent. */
function latentKeys(latent: NonNullable<PublishedModel["latent"]>): GgufKeys {
  const { qRank, kvRank, nope, rope, value } = latent;
  return {
    ...(qRank !== undefined && { "attention.q_lora_rank": g.u32(qRank) }),
    "attention.kv_lora_rank": g.u32(kvRank),
    "attention.key_length": g.u32(kvRank + rope),
    "attention.value_length": g.u32(kvRank),
    "attention.key_length_mla": g.u32(nope + rope),
    "attention.value_length_mla": g.u32(value),
    "rope.dimension_count": g.u32(rope),
  };
}

/** 0 for a layer without attention. */
function kvHeadsOf({ layers, kvHeads, attentionLayers }: PublishedModel) {
  if (!attentionLayers) return g.u32(kvHeads);
  return g.i32s(
    Array.from({ length: layers }, (_, layer) => (attentionLayers.includes(layer) ? kvHeads : 0)),
  );
}
