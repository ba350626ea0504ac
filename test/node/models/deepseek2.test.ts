import { describe, expect, test } from "vitest";
import { deepseek2 } from "../../../src/models/deepseek2.ts";
import type { ModelSpec } from "../../../src/models/model.ts";
import { modelFile } from "../../helpers/model-file.ts";

type Keys = Readonly<Record<string, number | boolean | string>>;

/** DeepSeek-V2-Lite as first converted: one tensor of keys and values for each layer. */
const V2_LITE: Keys = {
  block_count: 27,
  context_length: 163_840,
  embedding_length: 2048,
  feed_forward_length: 10_944,
  "attention.head_count": 16,
  "attention.head_count_kv": 16,
  "attention.layer_norm_rms_epsilon": 1e-6,
  "attention.kv_lora_rank": 512,
  "attention.key_length": 192,
  "attention.value_length": 128,
  "rope.freq_base": 10_000,
  "rope.dimension_count": 64,
  "rope.scaling.type": "yarn",
  "rope.scaling.factor": 40,
  "rope.scaling.original_context_length": 4096,
  "rope.scaling.yarn_log_multiplier": 0.0707,
  leading_dense_block_count: 1,
  expert_count: 64,
  expert_used_count: 6,
  expert_feed_forward_length: 1408,
  expert_shared_count: 2,
  expert_weights_scale: 1,
};

/** GLM-4.7-Flash, with its layer that predicts a further token. */
const GLM_FLASH: Keys = {
  block_count: 48,
  nextn_predict_layers: 1,
  context_length: 202_752,
  embedding_length: 2048,
  feed_forward_length: 10_240,
  "attention.head_count": 20,
  "attention.head_count_kv": 1,
  "attention.layer_norm_rms_epsilon": 1e-5,
  "attention.q_lora_rank": 768,
  "attention.kv_lora_rank": 512,
  "attention.key_length": 576,
  "attention.value_length": 512,
  "attention.key_length_mla": 256,
  "attention.value_length_mla": 256,
  "rope.freq_base": 1_000_000,
  "rope.dimension_count": 64,
  leading_dense_block_count: 1,
  expert_count: 64,
  expert_used_count: 4,
  expert_feed_forward_length: 1536,
  expert_shared_count: 1,
  expert_group_count: 1,
  expert_group_used_count: 1,
  expert_weights_scale: 1.8,
  expert_weights_norm: true,
};

function read(keys: Keys, shapes: Readonly<Record<string, readonly number[]>> = {}): ModelSpec {
  const vocab = keys.block_count === 48 ? 154_880 : 102_400;
  const matrix = [vocab, 2048];
  return deepseek2.read(
    modelFile("deepseek2", keys, {
      "token_embd.weight": matrix,
      "output.weight": matrix,
      ...shapes,
    }),
    "published",
  );
}

/** The shapes of a layer's tensors, by their names without the layer. */
function shapesOf(spec: ModelSpec, layer: number): Readonly<Record<string, readonly number[]>> {
  const prefix = `blk.${layer}.`;
  return Object.fromEntries(
    [...spec.resident, ...spec.stacked]
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, shape }) => [name.slice(prefix.length).replace(".weight", ""), shape]),
  );
}

describe("DeepSeek-V2-Lite", () => {
  const spec = read(V2_LITE);

  test("keeps 576 numbers a token and layer, whatever form its file has", () => {
    const split = { "attention.key_length_mla": 192, "attention.value_length_mla": 128 };
    for (const { attention } of [spec, read({ ...V2_LITE, ...split })]) {
      expect(attention).toHaveLength(27);
      expect(attention[26]).toMatchObject({ kvHeads: 1, headDim: 576, valueDim: 512, heads: 16 });
      expect(attention[26]!.rope).toMatchObject({ dims: 64, first: 512, pairing: "interleaved" });
    }
  });

  test("scales its scores for YaRN and leaves the rotation as it is", () => {
    const [attention] = spec.attention;
    expect(attention!.scale).toBeCloseTo((1 + 0.0707 * Math.log(40)) ** 2 / Math.sqrt(192), 12);
    expect(attention!.rope!.magnitude ?? 1).toBeCloseTo(1, 12);
    expect(attention!.rope!.yarn).toMatchObject({ originalTokens: 4096 });
  });

  test("has one dense layer, then experts beside shared ones", () => {
    expect(shapesOf(spec, 0)).toEqual({
      attn_norm: [2048],
      attn_q: [3072, 2048],
      attn_kv_a_mqa: [576, 2048],
      attn_kv_a_norm: [512],
      attn_kv_b: [4096, 512],
      attn_output: [2048, 2048],
      ffn_norm: [2048],
      ffn_gate: [10_944, 2048],
      ffn_up: [10_944, 2048],
      ffn_down: [2048, 10_944],
    });
    expect(shapesOf(spec, 1)).toMatchObject({
      ffn_gate_inp: [64, 2048],
      ffn_gate_shexp: [2816, 2048],
      ffn_up_shexp: [2816, 2048],
      ffn_down_shexp: [2048, 2816],
      ffn_gate_exps: [64, 1408, 2048],
      ffn_down_exps: [64, 2048, 1408],
    });
    expect(spec.moe.map(({ layer, pool }) => layer - pool)).toEqual(new Array(26).fill(1));
    expect(spec.moe[0]).toMatchObject({ score: "softmax", renormalise: false, scale: 1, topK: 6 });
  });
});

describe("GLM-4.7-Flash", () => {
  const bias = { "blk.1.exp_probs_b.bias": [64] };
  const spec = read(GLM_FLASH, bias);

  test("leaves the layer out that predicts a further token", () => {
    expect(spec.layers).toBe(47);
    expect(spec.attention).toHaveLength(47);
    expect(spec.moe).toHaveLength(46);
    expect(spec.resident.filter(({ name }) => name.startsWith("blk.47."))).toEqual([]);
  });

  test("compresses its queries", () => {
    expect(shapesOf(spec, 0)).toMatchObject({
      attn_q_a: [768, 2048],
      attn_q_a_norm: [768],
      attn_q_b: [5120, 768],
      attn_k_b: [20, 512, 192],
      attn_v_b: [20, 256, 512],
      attn_output: [2048, 5120],
    });
    expect(shapesOf(spec, 0)).not.toHaveProperty("attn_q");
    expect(spec.attention[0]!.scale).toBeCloseTo(1 / 16, 12);
  });

  test("has a sigmoid and a bias of its choice, though its first files do not say the score", () => {
    expect(spec.moe[0]).toMatchObject({
      score: "sigmoid",
      selectionBias: "blk.1.exp_probs_b.bias",
      renormalise: true,
      scale: 1.8,
    });
    expect(spec.moe[0]!.groups).toBeUndefined();
    expect(shapesOf(spec, 1)).toMatchObject({ "exp_probs_b.bias": [64] });
  });

  test("softmax is what all other files without the key mean", () => {
    expect(read({ ...GLM_FLASH, block_count: 47 }).moe[0]!.score).toBe("softmax");
  });
});

test("groups of experts are as in the file", () => {
  const grouped = { expert_group_count: 8, expert_group_used_count: 4, expert_gating_func: 2 };
  expect(read({ ...V2_LITE, ...grouped }).moe[0]).toMatchObject({
    score: "sigmoid",
    groups: { count: 8, keep: 4 },
  });
});

test("a model without experts is dense in all layers", () => {
  const { moe, resident } = read({ ...V2_LITE, leading_dense_block_count: 27 });
  expect(moe).toEqual([]);
  expect(resident.map(({ name }) => name)).toContain("blk.26.ffn_down.weight");
});

test.for<[Keys, string, string]>([
  [{ "rope.scaling.type": "linear" }, "unsupported-model", "linear rope scaling"],
  [{ expert_group_count: 3, expert_group_used_count: 1 }, "bad-file", "groups of one size"],
  [{ "attention.temperature_scale": 0.1 }, "unsupported-model", "by position"],
  [{ expert_gating_func: 9 }, "unsupported-model", "gating function 9"],
  [{ "attention.kv_lora_rank": 0 }, "bad-file", "kv_lora_rank is 0"],
  [{ "attention.key_length": 64 }, "unsupported-model", "rotates all 64 dimensions"],
  [{ nextn_predict_layers: 27 }, "bad-file", "nextn_predict_layers is 27"],
  [{ leading_dense_block_count: -1 }, "bad-file", "leading_dense_block_count is -1"],
  [{ expert_shared_count: 0.5 }, "bad-file", "expert_shared_count is 0.5"],
])("refuses %o", ([keys, code, text]) => {
  expect(() => read({ ...V2_LITE, ...keys })).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(text) }),
  );
});
