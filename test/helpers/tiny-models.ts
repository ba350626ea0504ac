import type { WeightFormat } from "../../src/formats/format.ts";
import {
  formatOfGgmlType,
  type WeightFormatName,
  weightFormats,
} from "../../src/formats/registry.ts";
import { openGguf } from "../../src/gguf/gguf.ts";
import { readHeader } from "../../src/gguf/header.ts";
import type { ArchitectureName } from "../../src/models/registry.ts";
import { createRandom, normalArray, type Random } from "../../src/numeric/random.ts";
import type { RouterInput } from "../../src/ops/ops.ts";
import type { ScoreFunctionName } from "../../src/routing/registry.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import { ByteWriter, type GgufKeys, type GgufTensor, g, writeGguf } from "./gguf-writer.ts";
import { bpeVocabulary, LEAST_TOKENS } from "./tiny-vocab.ts";

/** What a tiny model is like. Everything has a default but the architecture. */
export interface TinyModelOptions {
  readonly architecture: ArchitectureName;
  /** How matrices are stored; norms, routers and factors are F32. Default `f32`. */
  readonly format?: WeightFormatName;
  /** How some of the experts' matrices are stored, by name: `blk.0.ffn_up_exps.weight`. Default: as matrices. */
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
  /** sluice only. Default `post-attention`. */
  readonly routerInput?: RouterInput;
  /** Linear scaling of positions. Default none. */
  readonly ropeScale?: number;
  /** llama only: has `rope_freqs.weight`. Default false. */
  readonly ropeFactors?: boolean;
  /** Default and least 320: every byte, a few merges and some special tokens. */
  readonly vocab?: number;
  /** Keys to add or to put in the place of others, such as a chat template. */
  readonly keys?: GgufKeys;
  /** Default 1. */
  readonly seed?: number;
}

/** GGUF's number of 32-bit integers. */
const I32 = 26;

type Settings = Required<TinyModelOptions>;

/**
 * The bytes of a GGUF with random weights that Sluice and llama.cpp load: small, but with every part of its
 * architecture in play. Weights are scaled so that logits spread by a few units, attention is uneven and routers
 * choose by token. The same options give the same bytes.
 */
export function tinyModel(options: TinyModelOptions): Uint8Array<ArrayBuffer> {
  const heads = options.heads ?? 4;
  const settings: Settings = {
    format: "f32",
    formats: {},
    embeddingFormat: options.format ?? "f32",
    layers: 2,
    hidden: 256,
    ffn: 256,
    heads,
    kvHeads: options.architecture === "olmoe" ? heads : 2,
    headDim: 64,
    experts: options.architecture === "llama" ? 0 : 8,
    topK: 2,
    contextTokens: 256,
    tiedHead: false,
    score: "sigmoid",
    windows: false,
    routerInput: "post-attention",
    ropeScale: 1,
    ropeFactors: false,
    vocab: LEAST_TOKENS,
    keys: {},
    seed: 1,
    ...options,
  };
  return writeGguf({
    metadata: {
      ...modelKeys(settings),
      ...bpeVocabulary({ size: settings.vocab }),
      ...settings.keys,
    },
    tensors: modelTensors(settings),
  });
}

function modelKeys(model: Settings): GgufKeys {
  const { architecture } = model;
  const keys: GgufKeys = {
    block_count: g.u32(model.layers),
    context_length: g.u32(model.contextTokens),
    embedding_length: g.u32(model.hidden),
    feed_forward_length: g.u32(model.ffn),
    "attention.head_count": g.u32(model.heads),
    "attention.head_count_kv": g.u32(model.kvHeads),
    "attention.key_length": g.u32(model.headDim),
    "attention.value_length": g.u32(model.headDim),
    "attention.layer_norm_rms_epsilon": g.f32(1e-5),
    "rope.dimension_count": g.u32(model.headDim),
    "rope.freq_base": g.f32(10_000),
    ...(model.ropeScale !== 1 && {
      "rope.scaling.type": g.string("linear"),
      "rope.scaling.factor": g.f32(model.ropeScale),
    }),
    ...(model.experts > 0 && {
      expert_count: g.u32(model.experts),
      expert_used_count: g.u32(model.topK),
      expert_feed_forward_length: g.u32(model.ffn),
    }),
    ...(architecture === "smallthinker" && {
      expert_gating_func: g.u32(model.score === "softmax" ? 1 : 2),
      ...(model.windows && { "attention.sliding_window": g.u32(4096) }),
    }),
    ...(architecture === "sluice" && { router_input: g.string(model.routerInput) }),
  };
  return {
    "general.architecture": g.string(architecture),
    "general.name": g.string(`tiny ${architecture}`),
    ...Object.fromEntries(
      Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]),
    ),
  };
}

function modelTensors(model: Settings): GgufTensor[] {
  const { architecture, hidden } = model;
  const random = createRandom(model.seed);
  const embeddings = weightFormats[model.embeddingFormat];
  const tensors = [
    matrix(random, "token_embd", [model.vocab, hidden], 0.3 * Math.sqrt(hidden), embeddings),
    norm(random, "output_norm", hidden),
  ];
  if (!model.tiedHead) tensors.push(matrix(random, "output", [model.vocab, hidden], 3, embeddings));
  if (model.ropeFactors) {
    const factors = normalArray(random, model.headDim / 2).map((value) => 1 + 7 * value * value);
    tensors.push(stored("rope_freqs", [model.headDim / 2], factors, weightFormats.f32));
  }
  for (let layer = 0; layer < model.layers; layer++) {
    tensors.push(...attentionTensors(random, model, `blk.${layer}.`));
    tensors.push(...feedForwardTensors(random, model, `blk.${layer}`));
  }
  if (architecture === "sluice" && model.routerInput === "decoupled") {
    tensors.push(...attentionTensors(random, model, "route_"), norm(random, "route_norm", hidden));
  }
  return tensors;
}

function attentionTensors(random: Random, model: Settings, prefix: string): GgufTensor[] {
  const { architecture, hidden, headDim } = model;
  const format = weightFormats[model.format];
  const queryWidth = model.heads * headDim;
  const keyWidth = model.kvHeads * headDim;
  const tensors = [
    norm(random, `${prefix}attn_norm`, hidden),
    matrix(random, `${prefix}attn_q`, [queryWidth, hidden], 1.5, format),
    matrix(random, `${prefix}attn_k`, [keyWidth, hidden], 1.5, format),
    matrix(random, `${prefix}attn_v`, [keyWidth, hidden], 1, format),
    matrix(random, `${prefix}attn_output`, [hidden, queryWidth], 1, format),
  ];
  if (architecture === "qwen3moe") {
    tensors.push(norm(random, `${prefix}attn_q_norm`, headDim, 1.5));
    tensors.push(norm(random, `${prefix}attn_k_norm`, headDim, 1.5));
  }
  if (architecture === "olmoe") {
    tensors.push(norm(random, `${prefix}attn_q_norm`, queryWidth, 1.5));
    tensors.push(norm(random, `${prefix}attn_k_norm`, keyWidth, 1.5));
  }
  return tensors;
}

function feedForwardTensors(random: Random, model: Settings, block: string): GgufTensor[] {
  const { hidden, ffn, experts } = model;
  const format = weightFormats[model.format];
  const ffnNorm = norm(random, `${block}.ffn_norm`, hidden);
  if (experts === 0) {
    return [
      ffnNorm,
      matrix(random, `${block}.ffn_gate`, [ffn, hidden], 1.5, format),
      matrix(random, `${block}.ffn_up`, [ffn, hidden], 1.5, format),
      matrix(random, `${block}.ffn_down`, [hidden, ffn], 1, format),
    ];
  }
  const expertMatrix = (name: string, shape: readonly number[], gain: number) => {
    const own = model.formats[`${name}.weight`];
    return matrix(random, name, shape, gain, own ? weightFormats[own] : format);
  };
  return [
    ffnNorm,
    routerTensor(random, model, block),
    expertMatrix(`${block}.ffn_gate_exps`, [experts, ffn, hidden], 1.5),
    expertMatrix(`${block}.ffn_up_exps`, [experts, ffn, hidden], 1.5),
    expertMatrix(`${block}.ffn_down_exps`, [experts, hidden, ffn], 1),
  ];
}

function routerTensor(random: Random, model: Settings, block: string): GgufTensor {
  const { architecture, routerInput, experts, topK, vocab, hidden } = model;
  if (architecture !== "sluice" || routerInput !== "token") {
    return matrix(random, `${block}.ffn_gate_inp`, [experts, hidden], 2, weightFormats.f32);
  }
  const ids = new Int32Array(vocab * topK);
  for (let token = 0; token < vocab; token++) {
    const all = Array.from({ length: experts }, (_, expert) => expert);
    for (let k = 0; k < topK; k++) {
      ids[token * topK + k] = all.splice(random.integer(all.length), 1)[0]!;
    }
  }
  const data = new Uint8Array(ids.buffer);
  return { name: `${block}.ffn_gate_tid2eid.weight`, shape: [vocab, topK], ggmlType: I32, data };
}

/** A matrix that gives outputs of deviation `gain` for inputs of deviation 1. */
function matrix(
  random: Random,
  name: string,
  shape: readonly number[],
  gain: number,
  format: WeightFormat,
): GgufTensor {
  const count = shape.reduce((a, b) => a * b);
  const deviation = gain / Math.sqrt(shape.at(-1)!);
  return stored(name, shape, normalArray(random, count, deviation), format);
}

/** Weights of a norm around `mean`, uneven enough that leaving them out shows. */
function norm(random: Random, name: string, width: number, mean = 1): GgufTensor {
  const values = normalArray(random, width, 0.3).map((value) => mean + value);
  return stored(name, [width], values, weightFormats.f32);
}

function stored(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  format: WeightFormat,
): GgufTensor {
  const { ggmlType } = format;
  return { name: `${name}.weight`, shape, ggmlType, data: format.encode(values) };
}

/** The same model with every tensor as F32, its values as the formats of `bytes` decode them. */
export async function expandToF32(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const { tensors } = await openGguf(memorySource(bytes));
  const header = await readHeader(memorySource(bytes), {});
  const keyCount = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(16, true);
  const out = new ByteWriter().ascii("GGUF").u32(3).u64(tensors.size).u64(keyCount);
  const nameBytes = (name: string) => new TextEncoder().encode(name).length;
  const tableBytes = [...tensors.values()]
    .map(({ name, shape }) => 8 + nameBytes(name) + 4 + 8 * shape.length + 4 + 8)
    .reduce((a, b) => a + b, 0);
  // What lies between the counts and the table are the keys: copied as they are.
  out.raw(bytes.subarray(24, header.fileBytes - tableBytes));

  const data: Uint8Array[] = [];
  let offset = 0;
  for (const { name, shape, ggmlType, byteOffset, bytes: length } of tensors.values()) {
    const format = formatOfGgmlType(ggmlType)!;
    const values = format.decode(bytes.slice(byteOffset, byteOffset + length));
    out.string(name).u32(shape.length);
    for (const axis of [...shape].reverse()) out.u64(axis);
    out.u32(weightFormats.f32.ggmlType).u64(offset);
    data.push(weightFormats.f32.encode(values));
    offset += Math.ceil((4 * values.length) / 32) * 32;
  }
  for (const part of data) out.align(32).raw(part);
  return out.align(32).finish();
}
