import { describe, expect, test } from "vitest";
import type { MetadataValue } from "../../../src/gguf/metadata.ts";
import { gemma4 } from "../../../src/models/gemma4.ts";
import type { ModelSpec } from "../../../src/models/model.ts";
import { modelFile } from "../../helpers/model-file.ts";

const LAYERS = 30;
const layers = Array.from({ length: LAYERS }, (_, layer) => layer);
/** Five sliding layers, then a full one. */
const isSliding = layers.map((layer) => layer % 6 !== 5);

/** Gemma-4-26B-A4B. */
const KEYS: Readonly<Record<string, MetadataValue>> = {
  block_count: LAYERS,
  context_length: 262_144,
  embedding_length: 2816,
  embedding_length_per_layer_input: 0,
  feed_forward_length: 2112,
  "attention.head_count": 16,
  "attention.head_count_kv": isSliding.map((sliding) => (sliding ? 8 : 2)),
  "attention.layer_norm_rms_epsilon": 1e-6,
  "attention.key_length": 512,
  "attention.value_length": 512,
  "attention.key_length_swa": 256,
  "attention.value_length_swa": 256,
  "attention.sliding_window": 1024,
  "attention.sliding_window_pattern": isSliding,
  "attention.shared_kv_layers": 0,
  "rope.freq_base": 1_000_000,
  "rope.freq_base_swa": 10_000,
  "rope.dimension_count": 512,
  "rope.dimension_count_swa": 256,
  expert_count: 128,
  expert_used_count: 8,
  expert_feed_forward_length: 704,
  final_logit_softcapping: 30,
};

function read(
  keys: Readonly<Record<string, MetadataValue>> = {},
  shapes: Readonly<Record<string, readonly number[]>> = {},
): ModelSpec {
  const optional = layers.flatMap((layer): [string, readonly number[]][] => [
    [`blk.${layer}.layer_output_scale.weight`, [1]],
    [`blk.${layer}.ffn_down_exps.scale`, [128]],
    ...(isSliding[layer]
      ? ([[`blk.${layer}.attn_v.weight`, [2048, 2816]]] as [string, readonly number[]][])
      : []),
  ]);
  return gemma4.read(
    modelFile(
      "gemma4",
      { ...KEYS, ...keys },
      {
        "token_embd.weight": [262_144, 2816],
        "rope_freqs.weight": [256],
        ...Object.fromEntries(optional),
        ...shapes,
      },
    ),
    "published",
  );
}

function shapesOf(spec: ModelSpec, layer: number): Readonly<Record<string, readonly number[]>> {
  const prefix = `blk.${layer}.`;
  return Object.fromEntries(
    [...spec.resident, ...spec.stacked]
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, shape }) => [name.slice(prefix.length).replace(".weight", ""), shape]),
  );
}

describe("Gemma-4-26B-A4B", () => {
  const spec = read();

  test("has five sliding layers before each full one, with heads of their own", () => {
    expect(spec.attention.map(({ window }) => window)).toEqual(
      isSliding.map((sliding) => (sliding ? 1024 : undefined)),
    );
    expect(spec.attention[0]).toMatchObject({
      ...{ heads: 16, kvHeads: 8, headDim: 256, scale: 1 },
      rope: { dims: 256, base: 10_000, pairing: "half-split" },
    });
    expect(spec.attention[0]!.rope).not.toHaveProperty("factors");
    expect(spec.attention[5]).toMatchObject({
      ...{ heads: 16, kvHeads: 2, headDim: 512, scale: 1, keysAreValues: true },
      rope: { dims: 512, base: 1_000_000, factors: "rope_freqs.weight" },
    });
  });

  test("normalises queries, keys and values of each head", () => {
    expect(spec.attention[5]!.norm).toEqual({
      over: "head",
      q: "blk.5.attn_q_norm.weight",
      k: "blk.5.attn_k_norm.weight",
      ofValues: true,
      epsilon: 1e-6,
    });
  });

  test("wants the tensors of both kinds of layers", () => {
    const experts = {
      ffn_norm: [2816],
      ffn_gate: [2112, 2816],
      ffn_up: [2112, 2816],
      ffn_down: [2816, 2112],
      ffn_gate_inp: [128, 2816],
      "ffn_gate_inp.scale": [2816],
      "ffn_down_exps.scale": [128],
      ffn_gate_exps: [128, 704, 2816],
      ffn_up_exps: [128, 704, 2816],
      ffn_down_exps: [128, 2816, 704],
      post_attention_norm: [2816],
      post_ffw_norm: [2816],
      post_ffw_norm_1: [2816],
      pre_ffw_norm_2: [2816],
      post_ffw_norm_2: [2816],
      layer_output_scale: [1],
    };
    expect(shapesOf(spec, 0)).toEqual({
      ...experts,
      attn_norm: [2816],
      attn_q: [4096, 2816],
      attn_k: [2048, 2816],
      attn_v: [2048, 2816],
      attn_q_norm: [256],
      attn_k_norm: [256],
      attn_output: [2816, 4096],
    });
    expect(shapesOf(spec, 5)).toEqual({
      ...experts,
      attn_norm: [2816],
      attn_q: [8192, 2816],
      attn_k: [1024, 2816],
      attn_q_norm: [512],
      attn_k_norm: [512],
      attn_output: [2816, 8192],
    });
    expect(spec.resident).toContainEqual({ name: "rope_freqs.weight", shape: [256] });
  });
});

test("a model without experts has the dense network alone", () => {
  const { moe, resident } = read({ expert_count: 0 });
  expect(moe).toEqual([]);
  const names = resident.map(({ name }) => name);
  expect(names).toContain("blk.0.ffn_down.weight");
  expect(names).not.toContain("blk.0.pre_ffw_norm_2.weight");
});

test.for<[Readonly<Record<string, MetadataValue>>, string, string]>([
  [{ embedding_length_per_layer_input: 256 }, "unsupported-model", "embeddings for each layer"],
  [{ "attention.shared_kv_layers": 10 }, "unsupported-model", "share the keys of others"],
  [{ "attention.sliding_window_pattern": [true] }, "bad-file", "has 1 values for 30 layers"],
  [{ "attention.head_count_kv": [8, 2] }, "bad-file", "has 2 numbers for 30 layers"],
  [{ "attention.sliding_window": 0 }, "bad-file", "sliding_window is 0"],
])("refuses %o", ([keys, code, text]) => {
  expect(() => read(keys)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(text) }),
  );
});
