import type { WeightFormat } from "../../src/formats/format.ts";
import { formatOfGgmlType, weightFormats } from "../../src/formats/registry.ts";
import { openGguf } from "../../src/gguf/gguf.ts";
import { readHeader } from "../../src/gguf/header.ts";
import {
  type ModelMetadata,
  type ModelSpec,
  type TensorSpec,
  withAhead,
} from "../../src/models/model.ts";
import { architectures } from "../../src/models/registry.ts";
import { createRandom, normalArray, type Random } from "../../src/numeric/random.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import { ByteWriter, type GgufKeys, type GgufTensor, g, writeGguf } from "./gguf-writer.ts";
import { tinyArchitectures } from "./tiny/registry.ts";
import type { TinyModelOptions, TinySettings } from "./tiny/settings.ts";
import { bpeVocabulary, LEAST_TOKENS } from "./tiny-vocab.ts";

export type { TinyModelOptions } from "./tiny/settings.ts";

/**
 * The bytes of a GGUF with random weights that Sluice and llama.cpp load: small, but with every part of its
 * architecture in play. Weights are scaled so that logits spread by a few units, attention is uneven and routers
 * choose by token. The same options give the same bytes.
 */
export function tinyModel(options: TinyModelOptions): Uint8Array<ArrayBuffer> {
  const settings = settingsOf(options);
  return writeGguf({
    metadata: {
      ...modelKeys(settings),
      ...bpeVocabulary({ size: settings.vocab }),
      ...settings.keys,
    },
    tensors: modelTensors(settings),
  });
}

function settingsOf(options: TinyModelOptions): TinySettings {
  const heads = options.heads ?? 4;
  return {
    format: "f32",
    formats: {},
    embeddingFormat: options.format ?? "f32",
    layers: 2,
    hidden: 256,
    ffn: 256,
    heads,
    kvHeads: 2,
    headDim: 64,
    experts: 8,
    topK: 2,
    contextTokens: 256,
    tiedHead: false,
    score: "sigmoid",
    windows: false,
    window: 8,
    denseLead: 1,
    moeStep: 1,
    selectionBias: true,
    predicts: false,
    routerInput: "post-attention",
    ropeScale: 1,
    ropeFactors: "none",
    latent: { rank: 64, queryRank: 0, valueDim: 64, isSplit: true },
    fused: false,
    vocab: LEAST_TOKENS,
    keys: {},
    seed: 1,
    ...tinyArchitectures[options.architecture].defaults?.({ heads }),
    ...options,
  };
}

function modelKeys(model: TinySettings): GgufKeys {
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
    ...tinyArchitectures[architecture].keys?.(model),
  };
  return {
    "general.architecture": g.string(architecture),
    "general.name": g.string(`tiny ${architecture}`),
    ...Object.fromEntries(
      Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]),
    ),
  };
}

/** The tensors that the architecture's reader asks for, once it is told which optional ones there are. */
function modelTensors(model: TinySettings): GgufTensor[] {
  const { architecture, vocab, hidden, tiedHead } = model;
  const optional: Readonly<Record<string, readonly number[]>> = {
    "token_embd.weight": [vocab, hidden],
    ...(!tiedHead && { "output.weight": [vocab, hidden] }),
    ...tinyArchitectures[architecture].optional?.(model),
  };
  const spec: ModelSpec = architectures[architecture].read(
    {
      metadata: keyMetadata({ ...modelKeys(model), ...model.keys }),
      shape: (tensor) => optional[tensor],
    },
    "published",
  );
  const { resident, stacked } = withAhead(spec, true);
  return [...resident, ...stacked].map((spec) => {
    // Each tensor has a sequence of its own: one more tensor changes no other.
    const random = createRandom(model.seed + hash(spec.name));
    return spec.idsBelow === undefined
      ? weightTensor(random, model, spec)
      : tableTensor(random, spec.name, spec.shape, spec.idsBelow);
  });
}

/** The metadata of a file that is about to be written. */
function keyMetadata(keys: GgufKeys): ModelMetadata {
  const optional = <T>(key: string) => keys[key]?.value as T | undefined;
  return {
    number(key) {
      const value = optional<number>(key);
      if (value === undefined) throw new Error(`tiny models have no key ${key}`);
      return value;
    },
    optionalNumber: optional<number>,
    optionalNumberOrArray: optional<number | readonly number[]>,
    optionalBooleans: optional<readonly boolean[]>,
    optionalBoolean: optional<boolean>,
    optionalString: optional<string>,
  };
}

/** How far outputs spread for inputs of deviation 1, by the end of a tensor's name; 1 for all others. */
const GAINS: readonly (readonly [name: string, gain: number])[] = [
  ["attn_q", 1.5],
  ["attn_k", 1.5],
  ["ffn_gate", 1.5],
  ["ffn_up", 1.5],
  ["ffn_gate_exps", 1.5],
  ["ffn_up_exps", 1.5],
  ["ffn_gate_shexp", 1.5],
  ["ffn_up_shexp", 1.5],
  ["ffn_gate_inp", 2],
  ["output", 3],
];

/** Means of the weights of norms; 1 for all others. Those of queries and keys make attention uneven. */
const NORM_MEANS: readonly (readonly [name: string, mean: number])[] = [
  ["attn_q_norm", 1.5],
  ["attn_k_norm", 1.5],
];

function weightTensor(
  random: Random,
  model: TinySettings,
  { name, shape }: TensorSpec,
): GgufTensor {
  const { hidden } = model;
  const part = name.replace(/\.(weight|bias)$/, "").replace(/^(blk\.\d+\.|route_)/, "");
  const { f32 } = weightFormats;
  const own = tinyArchitectures[model.architecture].values?.(part, shape, random);
  if (own) return stored(name, shape, own, f32);
  if (name.endsWith(".bias"))
    return stored(name, shape, normalArray(random, size(shape), 0.3), f32);
  if (shape.length === 1) {
    // Weights of a norm, uneven enough that leaving them out shows.
    const mean = NORM_MEANS.find(([end]) => end === part)?.[1] ?? 1;
    const values = normalArray(random, shape[0]!, 0.3).map((value) => mean + value);
    return stored(name, shape, values, f32);
  }
  const isEmbedding = part === "token_embd";
  const gain = isEmbedding
    ? 0.3 * Math.sqrt(hidden)
    : (GAINS.find(([end]) => end === part)?.[1] ?? 1);
  const deviation = gain / Math.sqrt(shape.at(-1)!);
  const format = formatOf(model, name, part);
  // As llama.cpp's quantiser does: rows that are no whole blocks take another format.
  const fits = shape.at(-1)! % format.blockWeights === 0;
  return stored(name, shape, normalArray(random, size(shape), deviation), fits ? format : f32);
}

function formatOf(model: TinySettings, name: string, part: string): WeightFormat {
  const own = model.formats[name];
  if (own) return weightFormats[own];
  if (part === "token_embd" || part === "output") return weightFormats[model.embeddingFormat];
  return weightFormats[part === "ffn_gate_inp" ? "f32" : model.format];
}

/** GGUF's number of 32-bit integers. */
const I32 = 26;

/** Distinct ids in each row. */
function tableTensor(
  random: Random,
  name: string,
  shape: readonly number[],
  idsBelow: number,
): GgufTensor {
  const [rows, cols] = shape as [number, number];
  const ids = new Int32Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    const all = Array.from({ length: idsBelow }, (_, id) => id);
    for (let col = 0; col < cols; col++) {
      ids[row * cols + col] = all.splice(random.integer(all.length), 1)[0]!;
    }
  }
  return { name, shape, ggmlType: I32, data: new Uint8Array(ids.buffer) };
}

function stored(
  name: string,
  shape: readonly number[],
  values: Float32Array,
  format: WeightFormat,
): GgufTensor {
  return { name, shape, ggmlType: format.ggmlType, data: format.encode(values) };
}

function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b);
}

/** FNV-1a: tells tensors apart by their names. */
function hash(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) {
    hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  }
  return hash >>> 1;
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
