import { describe, expect, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import type { ModelFile, ModelSpec } from "../../../src/models/model.ts";
import { readModel } from "../../../src/models/registry.ts";
import type { Mamba2Spec } from "../../../src/ops/recurrent.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { type GgufKeys, g } from "../../helpers/gguf-writer.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { modelFileOf } from "../../reference/model.ts";

type Architecture = TinyModelOptions["architecture"];

const SMALL = { hidden: 16, ffn: 24, heads: 4, headDim: 4, experts: 4 } as const;

async function tinyFile(architecture: Architecture, keys: GgufKeys = {}): Promise<ModelFile> {
  const named = Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]);
  const options = { ...SMALL, architecture, keys: Object.fromEntries(named) };
  return modelFileOf(await openGguf(memorySource(tinyModel(options))));
}

async function tinySpec(architecture: Architecture, keys?: GgufKeys): Promise<ModelSpec> {
  return readModel(await tinyFile(architecture, keys));
}

/** `file` with another shape of one tensor. */
function reshaped(file: ModelFile, tensor: string, shape: readonly number[]): ModelFile {
  return { ...file, shape: (name) => (name === tensor ? shape : file.shape(name)) };
}

/** The scales that a forward pass counts with: of the embedding, of the linear ops by tensor. */
function scalesOf(spec: ModelSpec): Record<string, number> {
  const scales: Record<string, number> = {};
  const x = { width: 1 };
  spec.forward({
    embed: (table, options) => {
      scales[table] = options?.scale ?? 1;
      return x;
    },
    linear: (_, weight, options) => {
      scales[weight] = options?.scale ?? 1;
      return x;
    },
    ...{ rmsNorm: () => x, attention: () => x, shortConv: () => x, mamba2: () => x },
    ...{ gatedUnit: () => x, experts: () => x, lastToken: () => x, logits: () => {} },
    ...{ layerNorm: () => x, concat: () => x, add: () => x, headLinear: () => x },
    ...{ latentAttention: () => x, softcap: () => x },
    ...{ route: () => ({ topK: 1 }), routeByToken: () => ({ topK: 1 }) },
  } as Parameters<typeof spec.forward>[0]);
  return scales;
}

describe("granite", () => {
  const NONE = { embedding_scale: g.f32(0), residual_scale: g.f32(0), logit_scale: g.f32(0) };

  test("scales the embedding, both branches, attention and the logits", async () => {
    const spec = await tinySpec("granitemoe");
    const scales = scalesOf(spec);

    expect(scales["token_embd.weight"]).toBe(2);
    expect(scales["blk.1.attn_output.weight"]).toBe(0.5);
    expect(scales["blk.1.ffn_down_shexp.weight"]).toBe(0.5);
    expect(scales["output.weight"]).toBeCloseTo(1 / 1.5, 12);
    expect(spec.moe.map(({ scale }) => scale)).toEqual([0.5, 0.5]);
    expect(spec.attention[0]!.scale).toBeCloseTo(0.2, 6);
  });

  test("takes a scale of 0 for none", async () => {
    const spec = await tinySpec("granite", { ...NONE, "attention.scale": g.f32(0) });

    expect(new Set(Object.values(scalesOf(spec)))).toEqual(new Set([1]));
    expect(spec.attention[0]!.scale).toBe(0.5);
  });

  test("has no shared expert where its width is 0, and none for it in a dense model", async () => {
    const none = { expert_shared_feed_forward_length: g.u32(0) };
    const names = async (architecture: Architecture, keys: GgufKeys) =>
      (await tinySpec(architecture, keys)).resident.map(({ name }) => name);

    expect(await names("granitemoe", {})).toContain("blk.0.ffn_gate_shexp.weight");
    expect(await names("granitemoe", none)).not.toContain("blk.0.ffn_gate_shexp.weight");
    const dense = { expert_count: g.u32(0), expert_shared_feed_forward_length: g.u32(24) };
    expect(await names("granite", dense)).not.toContain("blk.0.ffn_gate_shexp.weight");
  });

  test("rotates unless the file says that it does not", async () => {
    const rotated = async (architecture: Architecture, keys?: GgufKeys) =>
      (await tinySpec(architecture, keys)).attention.map(({ rope }) => rope?.pairing);
    const off = { "rope.scaling.finetuned": g.bool(false) };

    expect(await rotated("granite")).toEqual(["interleaved", "interleaved"]);
    expect(await rotated("granite", off)).toEqual([undefined, undefined]);
    expect(await rotated("granitehybrid")).toEqual([undefined]);
  });
});

describe("granitehybrid", () => {
  test("has Mamba in the layers without KV heads, and experts in all", async () => {
    const spec = await tinySpec("granitehybrid");

    expect(spec.attention.map(({ layer }) => layer)).toEqual([1]);
    expect(spec.recurrent.map(({ kind, layer }) => [kind, layer])).toEqual([
      ["mamba2", 0],
      ["mamba2", 2],
    ]);
    expect(spec.moe.map(({ layer }) => layer)).toEqual([0, 1, 2]);
    const { heads, headDim, groups, stateDim, taps } = spec.recurrent[0] as Mamba2Spec;
    expect({ heads, headDim, groups, stateDim, taps }).toEqual({
      ...{ heads: 2, headDim: 16, groups: 2, stateDim: 16, taps: 4 },
    });
  });

  test.for<[string, number]>([
    ["ssm.time_step_rank", 3],
    ["ssm.group_count", 3],
    ["ssm.state_size", 0],
  ])("with %s of %d is bad", async ([key, value]) => {
    await expect(tinyFile("granitehybrid", { [key]: g.u32(value) })).rejects.toMatchObject({
      code: "bad-file",
      message: expect.stringContaining("granitehybrid.ssm"),
    });
  });

  test("takes a norm whose leading axis of 1 a tool has left out, and no other shape", async () => {
    const file = await tinyFile("granitehybrid", { "ssm.group_count": g.u32(1) });
    const norm = "blk.0.ssm_norm.weight";

    expect(file.shape(norm)).toEqual([1, 32]);
    expect(() => readModel(reshaped(file, norm, [32]))).not.toThrow();
    expect(() => readModel(reshaped(file, norm, [32, 1]))).toThrow(`Tensor ${norm} is [32,1]`);
  });
});

describe("lfm2", () => {
  test("has convolutions in the layers without KV heads, and the embedding's norm at the end", async () => {
    const spec = await tinySpec("lfm2moe");

    expect(spec.attention.map(({ layer, norm }) => [layer, norm?.over])).toEqual([[1, "head"]]);
    expect(spec.recurrent).toMatchObject(
      [0, 2, 3].map((layer) => ({ kind: "short-conv", layer, channels: 16, taps: 3 })),
    );
    const names = spec.resident.map(({ name }) => name);
    expect(names).toContain("token_embd_norm.weight");
    expect(names).not.toContain("output_norm.weight");
  });

  test("is dense in its leading layers; pools are numbered from the first experts on", async () => {
    const spec = await tinySpec("lfm2moe");

    expect(spec.moe.map(({ layer, pool }) => [layer, pool])).toEqual([
      [2, 0],
      [3, 1],
    ]);
    expect(spec.moe[0]).toMatchObject({
      score: "sigmoid",
      renormalise: true,
      selectionBias: "blk.2.exp_probs_b.bias",
    });
    const down = spec.resident.filter(({ name }) => name.endsWith("ffn_down.weight"));
    expect(down.map(({ name }) => name)).toEqual([
      "blk.0.ffn_down.weight",
      "blk.1.ffn_down.weight",
    ]);
  });

  test.for<[Architecture, GgufKeys, string, string]>([
    ["lfm2", { "attention.causal": g.bool(false) }, "unsupported-model", "sees tokens ahead"],
    ["lfm2", { "attention.sliding_window": g.u32(8) }, "unsupported-model", "sliding windows"],
    ["lfm2", { "attention.head_count_kv": g.i32s([0, 2]) }, "bad-file", "2 numbers for 3 layers"],
    ["lfm2", { "attention.head_count_kv": g.i32s([0, 2, 4]) }, "unsupported-model", "0,2,4"],
    ["lfm2moe", { expert_gating_func: g.u32(1) }, "unsupported-model", "gating function 1"],
    ["lfm2moe", { leading_dense_block_count: g.u32(5) }, "bad-file", "the model has 4 layers"],
    ["llama", { "attention.head_count_kv": g.i32s([0, 2]) }, "unsupported-model", "KV heads"],
  ])("%s with %o is refused", async ([architecture, keys, code, text]) => {
    await expect(tinyFile(architecture, keys)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
    });
  });
});
