import { describe, expect, test } from "vitest";
import type { MetadataValue } from "../../../src/gguf/metadata.ts";
import { type ModelRules, type ModelSpec, withAhead } from "../../../src/models/model.ts";
import { type ArchitectureName, architectures, readModel } from "../../../src/models/registry.ts";
import { modelFile } from "../../helpers/model-file.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { openReferenceModel } from "../../reference/model.ts";

type Keys = Readonly<Record<string, MetadataValue>>;
type Shapes = Readonly<Record<string, readonly number[]>>;

/** Published models, by the keys of their files. */
const QWEN_1_5_MOE: Keys = {
  block_count: 24,
  context_length: 8192,
  embedding_length: 2048,
  feed_forward_length: 5632,
  "attention.head_count": 16,
  "attention.head_count_kv": 16,
  "attention.layer_norm_rms_epsilon": 1e-6,
  "rope.freq_base": 1e6,
  expert_count: 60,
  expert_used_count: 4,
  expert_feed_forward_length: 1408,
  expert_shared_feed_forward_length: 5632,
};

const LING_MINI: Keys = {
  block_count: 21,
  nextn_predict_layers: 1,
  context_length: 32_768,
  embedding_length: 2048,
  feed_forward_length: 5120,
  "attention.head_count": 16,
  "attention.head_count_kv": 4,
  "attention.key_length": 128,
  "attention.value_length": 128,
  "attention.layer_norm_rms_epsilon": 1e-6,
  "rope.freq_base": 600_000,
  "rope.dimension_count": 64,
  leading_dense_block_count: 1,
  expert_count: 256,
  expert_used_count: 8,
  expert_feed_forward_length: 512,
  expert_shared_feed_forward_length: 512,
  expert_shared_count: 1,
  expert_group_count: 8,
  expert_group_used_count: 4,
  expert_gating_func: 2,
  expert_weights_norm: true,
  expert_weights_scale: 2.5,
};

const ERNIE_21B: Keys = {
  block_count: 28,
  context_length: 131_072,
  embedding_length: 2560,
  feed_forward_length: 12_288,
  "attention.head_count": 20,
  "attention.head_count_kv": 4,
  "attention.key_length": 128,
  "attention.value_length": 128,
  "attention.layer_norm_rms_epsilon": 1e-5,
  "rope.freq_base": 500_000,
  leading_dense_block_count: 1,
  interleave_moe_layer_step: 1,
  expert_count: 64,
  expert_used_count: 6,
  expert_feed_forward_length: 1536,
  expert_shared_feed_forward_length: 3072,
  expert_shared_count: 2,
};

const PHI_MINI: Keys = {
  block_count: 32,
  context_length: 4096,
  embedding_length: 4096,
  feed_forward_length: 960,
  "attention.head_count": 32,
  "attention.head_count_kv": 8,
  "attention.key_length": 128,
  "attention.value_length": 128,
  "attention.sliding_window": 2047,
  "attention.layer_norm_rms_epsilon": 1e-5,
  "rope.freq_base": 10_000,
  "rope.dimension_count": 128,
  expert_count: 16,
  expert_used_count: 2,
};

/** The model of these keys, in a file that has all the tensors that it names and `others`. */
function read(
  architecture: ArchitectureName,
  keys: Keys,
  others: Shapes = {},
  rules: ModelRules = "published",
  ahead = false,
): ModelSpec {
  const hidden = keys.embedding_length as number;
  const own: Shapes = {
    "token_embd.weight": [1000, hidden],
    "output.weight": [1000, hidden],
    ...others,
  };
  const named = withAhead(
    architectures[architecture].read(modelFile(architecture, keys, own), rules),
    ahead,
  );
  const shapes = [...named.resident, ...named.stacked].map(
    ({ name, shape }) => [name, shape] as const,
  );
  const all = { ...Object.fromEntries(shapes), ...own };
  return readModel(modelFile(architecture, keys, all), rules, ahead);
}

/** Numbers in all of a model's matrices and vectors but the embedding and the head. */
function countWeights({ resident, stacked }: ModelSpec): number {
  return [...resident, ...stacked]
    .filter(({ name }) => name.startsWith("blk."))
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
}

const names = (spec: ModelSpec) => spec.resident.map(({ name }) => name);

test("Qwen1.5-MoE-A2.7B: 60 experts, and a shared one behind a gate", () => {
  const spec = read("qwen2moe", QWEN_1_5_MOE, { "blk.3.attn_q.bias": [2048] });

  expect(spec.moe).toHaveLength(24);
  expect(spec.moe[3]).toMatchObject({ experts: 60, topK: 4, ffn: 1408, renormalise: false });
  expect(names(spec)).toContain("blk.3.ffn_gate_inp_shexp.weight");
  expect(spec.attention[3]!.biases).toEqual({ q: "blk.3.attn_q.bias" });
  // 14.3 billion weights less 2 * 151,936 * 2,048 in embedding and head.
  expect(countWeights(spec) / 1e9).toBeCloseTo(14.32 - 0.622, 1);
});

test("qwen2moe takes a gate that is stored as a vector", () => {
  const vector = { "blk.0.ffn_gate_inp_shexp.weight": [2048] };
  expect(() => read("qwen2moe", QWEN_1_5_MOE, vector)).not.toThrow();
  expect(() =>
    read("qwen2moe", QWEN_1_5_MOE, { ...vector, "blk.1.attn_q.weight": [2048] }),
  ).toThrow(expect.objectContaining({ code: "bad-file" }));
});

describe("Ling-mini-2.0", () => {
  const prediction = {
    "blk.20.nextn.eh_proj.weight": [2048, 4096],
    "blk.20.attn_qkv.weight": [3072, 2048],
    "blk.20.ffn_gate_exps.weight": [256, 512, 2048],
    "blk.20.exp_probs_b.bias": [256],
  };
  const bias = (layer: number) => ({ [`blk.${layer}.exp_probs_b.bias`]: [256] });

  test("has a dense layer, then 256 experts in groups, and no block that predicts", () => {
    const spec = read("bailingmoe2", LING_MINI, { ...prediction, ...bias(1), ...bias(19) });

    expect(spec.layers).toBe(20);
    expect(spec.attention).toHaveLength(20);
    expect(spec.moe.map(({ layer }) => layer)).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
    expect(spec.moe.map(({ pool }) => pool)).toEqual(Array.from({ length: 19 }, (_, i) => i));
    expect(spec.moe[0]).toMatchObject({
      experts: 256,
      topK: 8,
      score: "sigmoid",
      renormalise: true,
      scale: 2.5,
      groups: { count: 8, keep: 4 },
      selectionBias: "blk.1.exp_probs_b.bias",
    });
    expect(spec.moe[1]!.selectionBias).toBe(undefined);
    expect(spec.attention[0]!.rope).toMatchObject({ dims: 64, pairing: "half-split" });
    expect(names(spec).filter((name) => name.startsWith("blk.20."))).toEqual([]);
    expect(names(spec)).toContain("blk.0.ffn_gate.weight");
    expect(names(spec)).toContain("blk.1.ffn_gate_shexp.weight");
  });

  test("has the block that predicts a further token, if that is asked for", () => {
    const { moe, attention, resident, stacked, ahead, layers } = read(
      "bailingmoe2",
      LING_MINI,
      { ...prediction, ...bias(1) },
      "published",
      true,
    );

    expect(layers).toBe(20);
    expect(attention.map(({ layer }) => layer)).toEqual(Array.from({ length: 21 }, (_, i) => i));
    expect(moe.at(-1)).toMatchObject({ layer: 20, pool: 19, experts: 256, topK: 8 });
    expect(ahead?.moe).toEqual(moe.slice(-1));
    expect(stacked.at(-1)).toEqual({
      name: "blk.20.ffn_down_exps.weight",
      shape: [256, 2048, 512],
    });
    const tensors = new Map(resident.map(({ name, shape }) => [name, shape]));
    expect(tensors.size).toBe(resident.length);
    expect(tensors.get("blk.20.nextn.eh_proj.weight")).toEqual([2048, 4096]);
    expect(tensors.get("blk.20.nextn.enorm.weight")).toEqual([2048]);
    expect(tensors.get("blk.20.ffn_gate_shexp.weight")).toEqual([512, 2048]);
  });

  test("takes the block's own embedding, head and norm where the file has them", () => {
    const own = {
      "blk.20.nextn.embed_tokens.weight": [1000, 2048],
      "blk.20.nextn.shared_head_head.weight": [1000, 2048],
      "blk.20.nextn.shared_head_norm.weight": [2048],
    };
    const asked = ["published", true] as const;
    const shared = read("bailingmoe2", LING_MINI, { ...prediction, ...bias(1) }, ...asked);
    const itself = read("bailingmoe2", LING_MINI, { ...prediction, ...bias(1), ...own }, ...asked);

    expect(names(itself)).toEqual(expect.arrayContaining(Object.keys(own)));
    for (const name of Object.keys(own)) expect(names(shared)).not.toContain(name);
  });

  test("whose conversion left the block out has none", () => {
    expect(read("bailingmoe2", LING_MINI, {}, "published", true).ahead).toBe(undefined);
  });

  test.for<[Keys, string]>([
    [{ expert_group_count: 7 }, "bailingmoe2.expert_group_count is 7"],
    [{ expert_group_count: 256 }, "two experts or more"],
    [{ expert_group_used_count: 9 }, "bailingmoe2.expert_group_used_count is 9"],
    [{ expert_group_used_count: 1, expert_used_count: 64 }, "as many as are chosen"],
    [{ nextn_predict_layers: 21 }, "bailingmoe2.nextn_predict_layers is 21 of 21 layers"],
  ])("with %o is bad", ([keys, text]) => {
    expect(() => read("bailingmoe2", { ...LING_MINI, ...keys })).toThrow(
      expect.objectContaining({ code: "bad-file", message: expect.stringContaining(text) }),
    );
  });

  test("with a gating function that nobody has is refused", () => {
    expect(() => read("bailingmoe2", { ...LING_MINI, expert_gating_func: 9 })).toThrow(
      expect.objectContaining({
        code: "unsupported-model",
        message: expect.stringContaining("gating function 9 (bailingmoe2.expert_gating_func)"),
      }),
    );
  });
});

describe("ERNIE-4.5-21B-A3B", () => {
  test("has a dense layer, then experts with a biased choice and shared ones", () => {
    const spec = read("ernie4_5-moe", ERNIE_21B, { "blk.1.exp_probs_b.bias": [1, 64] });

    expect(spec.moe).toHaveLength(27);
    expect(spec.moe[0]).toMatchObject({
      layer: 1,
      pool: 0,
      score: "softmax",
      renormalise: true,
      selectionBias: "blk.1.exp_probs_b.bias",
    });
    // 21.83 billion weights, 103,424 * 2,560 of them in the embedding.
    expect(countWeights(spec) / 1e9).toBeCloseTo(21.83 - 0.265, 1);
  });

  test("may have experts in every other layer", () => {
    const spec = read("ernie4_5-moe", { ...ERNIE_21B, interleave_moe_layer_step: 2 });

    expect(spec.moe.map(({ layer }) => layer)).toEqual(
      Array.from({ length: 14 }, (_, i) => 2 * i + 1),
    );
    expect(names(spec)).toContain("blk.2.ffn_gate.weight");
    expect(names(spec)).not.toContain("blk.3.ffn_gate.weight");
    expect(names(spec)).not.toContain("blk.2.ffn_gate_shexp.weight");
  });
});

describe("Phi-mini-MoE", () => {
  test("by its own rules: SparseMixer, and a window", () => {
    const spec = read("phimoe", PHI_MINI);

    expect(spec.moe[0]).toMatchObject({ score: "sparsemixer", renormalise: false, topK: 2 });
    expect(spec.attention[0]!.window).toBe(2047);
    expect(countWeights(spec) / 1e9).toBeCloseTo(7.65 - 0.263, 1);
  });

  test("by llama.cpp's: softmax, renormalised, and no window", () => {
    const spec = read("phimoe", PHI_MINI, {}, "llama.cpp");

    expect(spec.moe[0]).toMatchObject({ score: "softmax", renormalise: true });
    expect(spec.attention[0]!.window).toBe(undefined);
  });
});

test.for<TinyModelOptions>([
  { architecture: "ernie4_5-moe", layers: 5, moeStep: 2 },
  { architecture: "phimoe", layers: 2 },
  { architecture: "bailingmoe2", layers: 3, experts: 8 },
  { architecture: "qwen2moe", layers: 2 },
])("a pass of %o is the same in chunks", async (options) => {
  const bytes = tinyModel({ hidden: 16, ffn: 24, heads: 4, headDim: 4, ...options });
  const logits = async (...chunks: number[][]) => {
    const model = await openReferenceModel(bytes);
    return chunks.map((chunk) => model.run(chunk).logits).at(-1)!;
  };

  const whole = await logits([5, 80, 5, 200, 11]);
  expect(await logits([5, 80], [5, 200, 11])).toEqual(whole);
});
