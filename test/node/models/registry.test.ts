import { beforeAll, describe, expect, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import type { ModelFile, ModelSpec } from "../../../src/models/model.ts";
import { type ArchitectureName, architectures, readModel } from "../../../src/models/registry.ts";
import type { Ops, RouterInput } from "../../../src/ops/ops.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { modelFileOf } from "../../reference/model.ts";

const ROUTER_INPUTS: readonly RouterInput[] = [
  "post-attention",
  "pre-attention",
  "previous-layer",
  "decoupled",
  "token",
];

const SMALL = { hidden: 16, ffn: 24, heads: 4, headDim: 8, experts: 4 } as const;

async function tinyFile(options: TinyModelOptions) {
  const gguf = await openGguf(memorySource(tinyModel({ ...SMALL, ...options })));
  return { file: modelFileOf(gguf), tensors: [...gguf.tensors.values()] };
}

/** `file` with other values for some keys (undefined: missing) and other shapes for some tensors. */
function changed(
  file: ModelFile,
  keys: Readonly<Record<string, number | string | boolean | readonly number[] | undefined>>,
  shapes: Readonly<Record<string, readonly number[] | undefined>> = {},
): ModelFile {
  const { metadata } = file;
  const optional = <T>(key: string, read: (key: string) => T) =>
    Object.hasOwn(keys, key) ? (keys[key] as T) : read(key);
  return {
    metadata: {
      number: (key) => optional(key, () => metadata.number(key)),
      optionalNumber: (key) => optional(key, () => metadata.optionalNumber(key)),
      optionalNumberOrArray: (key) => optional(key, () => metadata.optionalNumberOrArray(key)),
      optionalBooleans: (key) => optional(key, () => metadata.optionalBooleans(key)),
      optionalBoolean: (key) => optional(key, () => metadata.optionalBoolean(key)),
      optionalString: (key) => optional(key, () => metadata.optionalString(key)),
    },
    shape: (tensor) => (Object.hasOwn(shapes, tensor) ? shapes[tensor] : file.shape(tensor)),
  };
}

describe.for<TinyModelOptions>([
  { architecture: "smallthinker" },
  { architecture: "smallthinker", tiedHead: true, windows: true, layers: 5 },
  { architecture: "qwen3moe" },
  { architecture: "olmoe", headDim: 4 },
  { architecture: "llama" },
  { architecture: "qwen2", headDim: 4 },
  { architecture: "qwen3" },
  { architecture: "gpt-oss" },
  { architecture: "llama", experts: 0, ropeFactors: "llama 3", ropeScale: 2 },
  { architecture: "granite", experts: 0 },
  { architecture: "granitemoe", tiedHead: true },
  { architecture: "granitehybrid", layers: 3 },
  { architecture: "granitehybrid", layers: 3, experts: 0 },
  { architecture: "lfm2", layers: 3 },
  { architecture: "lfm2moe", layers: 4 },
  { architecture: "qwen2moe" },
  { architecture: "bailingmoe2", layers: 3 },
  { architecture: "ernie4_5-moe", layers: 5, moeStep: 2 },
  { architecture: "phimoe", ropeFactors: "longrope" },
  ...ROUTER_INPUTS.map((routerInput) => ({ architecture: "sluice", routerInput }) as const),
])("%o", (options) => {
  test("names every tensor of its file once, with its shape", async () => {
    const { file, tensors } = await tinyFile(options);
    const spec = readModel(file);
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    const named = [...spec.resident, ...spec.stacked].map(({ name, shape }) => ({ name, shape }));
    expect(named.sort(byName)).toEqual(
      tensors.map(({ name, shape }) => ({ name, shape })).sort(byName),
    );
  });

  test("gives the sizes of the file", async () => {
    const { file } = await tinyFile(options);
    expect(readModel(file)).toMatchObject({
      architecture: options.architecture,
      layers: options.layers ?? 2,
      hidden: 16,
      vocab: 320,
      contextTokens: 256,
    });
  });
});

/** The names of the ops that a forward pass calls, in order. */
function opsOf(spec: ModelSpec): string[] {
  const called: string[] = [];
  const x = { width: 1 };
  const record = (name: string) => {
    called.push(name);
    return x;
  };
  const ops: Ops = {
    embed: () => record("embed"),
    rmsNorm: (_, weight) => record(partOf(weight)),
    layerNorm: (_, weight) => record(partOf(weight)),
    concat: () => record("concat"),
    add: () => record("add"),
    linear: (_, weight) => record(partOf(weight)),
    attention: () => record("attention"),
    shortConv: () => record("shortConv"),
    mamba2: () => record("mamba2"),
    headLinear: (_, weight) => record(partOf(weight)),
    latentAttention: () => record("latentAttention"),
    softcap: () => record("softcap"),
    gatedUnit: () => record("gatedUnit"),
    route: (_, { layer }) => {
      called.push(`route ${layer}`);
      return { topK: 1 };
    },
    routeByToken: ({ layer }) => {
      called.push(`table ${layer}`);
      return { topK: 1 };
    },
    experts: (_x, _choice, { layer }) => record(`experts ${layer}`),
    lastToken: () => record("lastToken"),
    logits: () => void record("logits"),
  };
  spec.forward(ops);
  return called;
}

/** `blk.1.attn_q.weight` is `attn_q`, `route_norm.weight` is `route_norm`. */
function partOf(weight: string): string {
  return weight.replace(/^blk\.\d+\./, "").replace(/\.weight$/, "");
}

/** Those of layer 0 only, up to the second block's norm. */
function opsOfFirstLayer(spec: ModelSpec): string[] {
  const called = opsOf(spec);
  return called.slice(1, called.indexOf("attn_norm", called.indexOf("attn_norm") + 1));
}

test("smallthinker routes before attention, the others after it", async () => {
  const order = async (architecture: ArchitectureName, headDim = 8) =>
    opsOfFirstLayer(readModel((await tinyFile({ architecture, headDim, layers: 3 })).file));
  const block = ["attn_norm", "attn_q", "attn_k", "attn_v", "attention", "attn_output", "ffn_norm"];
  // The next layer's router follows, before that layer's norm.
  expect(await order("smallthinker")).toEqual(["route 0", ...block, "experts 0", "route 1"]);
  for (const [name, headDim] of [
    ["qwen3moe", 8],
    ["olmoe", 4],
    ["llama", 8],
  ] as const) {
    expect(await order(name, headDim)).toEqual([...block, "route 0", "experts 0"]);
  }
});

describe("sluice", () => {
  const attention = ["attn_norm", "attn_q", "attn_k", "attn_v", "attention", "attn_output"];
  const block = [...attention, "ffn_norm"];
  const beside = attention.map((op) => (op === "attention" ? op : `route_${op}`));

  test.for<[RouterInput, string[]]>([
    [
      "post-attention",
      [...block, "route 0", "experts 0", ...block, "route 1", "experts 1", ...block, "route 2"],
    ],
    [
      "pre-attention",
      ["route 0", ...block, "experts 0", "route 1", ...block, "experts 1", "route 2", ...block],
    ],
    [
      "previous-layer",
      [...block, "route 0", "route 1", "experts 0", ...block, "route 2", "experts 1", ...block],
    ],
    [
      "decoupled",
      [
        ...[...beside, "route_norm", "route 0", "route 1", "route 2"],
        ...[...block, "experts 0", ...block, "experts 1", ...block],
      ],
    ],
    [
      "token",
      ["table 0", "table 1", "table 2", ...block, "experts 0", ...block, "experts 1", ...block],
    ],
  ])("%s: routes as early as what its routers read is there", async ([routerInput, order]) => {
    const options = { architecture: "sluice", layers: 3, routerInput } as const;
    const spec = readModel((await tinyFile(options)).file);

    const last = ["experts 2", "lastToken", "output_norm", "output", "logits"];
    expect(opsOf(spec)).toEqual(["embed", ...order, ...last]);
    expect(spec.moe.map((moe) => moe.routerInput)).toEqual(new Array(3).fill(routerInput));
    expect(spec.attention.map(({ layer }) => layer)).toEqual(
      routerInput === "decoupled" ? [0, 1, 2, 3] : [0, 1, 2],
    );
  });

  test.for([
    [undefined, "sluice.router_input is missing"],
    ["psychic", 'sluice.router_input is "psychic"'],
  ] as const)("refuses a router input of %o", async ([value, text]) => {
    const { file } = await tinyFile({ architecture: "sluice" });
    expect(() => readModel(changed(file, { "sluice.router_input": value }))).toThrow(
      expect.objectContaining({
        code: "bad-file",
        message: `${text}; wanted one of ${ROUTER_INPUTS.join(", ")}.`,
      }),
    );
  });

  test("refuses a table of experts where the router is to be computed", async () => {
    const { file } = await tinyFile({ architecture: "sluice" });
    const table = { "blk.1.ffn_gate_tid2eid.weight": [320, 2] };
    expect(() => readModel(changed(file, {}, table))).toThrow(
      expect.objectContaining({
        code: "unsupported-model",
        message: expect.stringContaining("has a table of experts by token id"),
      }),
    );
  });

  test("wants ids below the number of experts in its table", async () => {
    const { file } = await tinyFile({ architecture: "sluice", routerInput: "token" });
    expect(readModel(file).resident).toContainEqual({
      name: "blk.1.ffn_gate_tid2eid.weight",
      shape: [320, 2],
      idsBelow: 4,
    });
  });
});

describe("smallthinker", () => {
  let file: ModelFile;
  beforeAll(async () => {
    ({ file } = await tinyFile({ architecture: "smallthinker", layers: 5, windows: true }));
  });

  test.for([
    [undefined, "sigmoid"],
    [0, "sigmoid"],
    [1, "softmax"],
    [2, "sigmoid"],
  ] as const)("gating key %o means %s", ([gating, score]) => {
    const spec = readModel(changed(file, { "smallthinker.expert_gating_func": gating }));
    expect(spec.moe.map((moe) => moe.score)).toEqual(new Array(5).fill(score));
    expect(spec.moe[0]).toMatchObject({ routerInput: "pre-attention", renormalise: true });
  });

  test("has windows and rotation in three layers of four when the file has windows", () => {
    const { attention } = readModel(file);
    expect(attention.map(({ window }) => window)).toEqual([undefined, 4096, 4096, 4096, undefined]);
    expect(attention.map(({ rope }) => rope !== undefined)).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
  });

  test.for([undefined, 0])("rotates every layer when the file's window is %o", (window) => {
    const spec = readModel(changed(file, { "smallthinker.attention.sliding_window": window }));
    expect(spec.attention.map(({ rope }) => rope?.pairing)).toEqual(
      new Array(5).fill("half-split"),
    );
    expect(spec.attention.map((layer) => layer.window)).toEqual(new Array(5).fill(undefined));
  });

  test("may have down projections that are stored by columns", () => {
    const name = "blk.2.ffn_down_exps.weight";
    expect(() => readModel(changed(file, {}, { [name]: [4, 24, 16] }))).not.toThrow();
    expect(() => readModel(changed(file, {}, { [name]: [4, 24, 17] }))).toThrow(name);
  });
});

test("the scale of experts' weights is read, and 0 stands for none", async () => {
  const { file } = await tinyFile({ architecture: "qwen3moe" });
  const scale = (value: number | undefined) =>
    readModel(changed(file, { "qwen3moe.expert_weights_scale": value })).moe[0]!.scale;
  expect([scale(undefined), scale(0), scale(2.5)]).toEqual([1, 1, 2.5]);
});

describe("a gpt-oss file", () => {
  const read = async (keys: Readonly<Record<string, number | string | undefined>> = {}) => {
    const { file } = await tinyFile({ architecture: "gpt-oss", layers: 4, window: 128 });
    return readModel(changed(file, keys)).attention;
  };

  test("has windows in every other layer from the first on, or as its pattern says", async () => {
    const pattern = "gpt-oss.attention.sliding_window_pattern";
    const windows = async (step?: number) =>
      (await read({ [pattern]: step })).map(({ window }) => window);

    expect(await windows()).toEqual([128, undefined, 128, undefined]);
    expect(await windows(4)).toEqual([128, 128, 128, undefined]);
    expect(await windows(1)).toEqual(new Array(4).fill(undefined));
    expect(await windows(0)).toEqual(new Array(4).fill(128));
  });

  test("may rotate layers with windows by another base", async () => {
    const attention = await read({ "gpt-oss.rope.freq_base_swa": 1000 });

    expect(attention.map(({ rope }) => rope?.base)).toEqual([1000, 10_000, 1000, 10_000]);
  });

  test("without a window is bad", async () => {
    await expect(read({ "gpt-oss.attention.sliding_window": 0 })).rejects.toMatchObject({
      code: "bad-file",
      message: expect.stringContaining("gpt-oss.attention.sliding_window is 0"),
    });
  });
});

test("qwen3moe shares out the width of a token's experts when it is the only one given", async () => {
  const { file } = await tinyFile({ architecture: "qwen3moe", topK: 2 });
  const keys = {
    "qwen3moe.expert_feed_forward_length": undefined,
    "qwen3moe.feed_forward_length": 48,
  };
  expect(readModel(changed(file, keys)).moe[0]!.ffn).toBe(24);
});

describe("a llama file", () => {
  let file: ModelFile;
  beforeAll(async () => {
    ({ file } = await tinyFile({ architecture: "llama" }));
  });

  test.for<[Record<string, number | string>, string]>([
    [{ "llama.rope.scaling.type": "dynamic" }, "has dynamic rope scaling"],
    [{ "llama.expert_shared_count": 1 }, "has shared experts (llama.expert_shared_count is 1)"],
    [{ "llama.expert_group_count": 4 }, "routes within groups of experts"],
  ])("with %o is refused", ([keys, text]) => {
    expect(() => readModel(changed(file, keys))).toThrow(
      expect.objectContaining({
        code: "unsupported-model",
        message: expect.stringContaining(text),
      }),
    );
  });

  test.for([
    ["blk.1.attn_sinks.weight", "attention sinks"],
    ["blk.0.ffn_gate_shexp.weight", "shared experts"],
    ["blk.0.attn_q_norm.weight", "norms of queries"],
    ["blk.1.exp_probs_b.bias", "biases of the choice of experts"],
  ] as const)("with tensor %s is refused", ([tensor, text]) => {
    expect(() => readModel(changed(file, {}, { [tensor]: [16] }))).toThrow(
      expect.objectContaining({
        code: "unsupported-model",
        message: expect.stringMatching(new RegExp(`llama model .*${text}.*${tensor}`)),
      }),
    );
  });

  test("may have heads of another size for values", () => {
    const tensors = { "blk.0.attn_v.weight": [8, 16], "blk.1.attn_v.weight": [8, 16] };
    const outputs = { "blk.0.attn_output.weight": [16, 16], "blk.1.attn_output.weight": [16, 16] };
    const keys = { "llama.attention.value_length": 4 };
    const { attention } = readModel(changed(file, keys, { ...tensors, ...outputs }));

    expect(attention.map(({ valueDim }) => valueDim)).toEqual([4, 4]);
  });

  test("may have biases, and queries, keys and values in one tensor", () => {
    const { attention, resident } = readModel(
      changed(
        file,
        {},
        {
          "blk.0.attn_k.bias": [16],
          "blk.0.attn_output.bias": [16],
          "blk.1.attn_qkv.weight": [64, 16],
          "blk.1.attn_qkv.bias": [64],
        },
      ),
    );

    expect(attention[0]!.biases).toEqual({
      k: "blk.0.attn_k.bias",
      output: "blk.0.attn_output.bias",
    });
    expect(attention[1]).toMatchObject({
      fused: "blk.1.attn_qkv.weight",
      biases: { fused: "blk.1.attn_qkv.bias" },
    });
    const names = resident.map(({ name }) => name);
    expect(names).toContain("blk.1.attn_qkv.weight");
    expect(names).not.toContain("blk.1.attn_q.weight");
  });

  test("with a tensor of another shape is bad: tensor, got and wanted are named", () => {
    expect(() => readModel(changed(file, {}, { "blk.1.attn_k.weight": [16, 8] }))).toThrow(
      expect.objectContaining({
        code: "bad-file",
        message: "Tensor blk.1.attn_k.weight is [16,8]; the model's metadata wants [16,16].",
      }),
    );
  });

  test("without a tensor is bad", () => {
    expect(() => readModel(changed(file, {}, { "blk.1.ffn_norm.weight": undefined }))).toThrow(
      expect.objectContaining({
        code: "bad-file",
        message: expect.stringContaining("no tensor blk.1.ffn_norm.weight (wanted [16]"),
      }),
    );
  });

  test.for([
    ["llama.block_count", 1e9],
    ["llama.block_count", 0],
    ["llama.block_count", 1.5],
    ["llama.expert_used_count", 5],
    ["llama.attention.head_count_kv", 3],
    ["llama.attention.head_count", 0],
  ] as const)("with %s of %d is bad", ([key, value]) => {
    expect(() => readModel(changed(file, { [key]: value }))).toThrow(
      expect.objectContaining({ code: "bad-file", message: expect.stringContaining("llama.") }),
    );
  });
});

test("an unknown architecture is refused with the list of known ones", async () => {
  const { file } = await tinyFile({ architecture: "llama" });
  expect(() => readModel(changed(file, { "general.architecture": "gpt-2" }))).toThrow(
    `Sluice does not know the architecture "gpt-2". Choose a model of one of these: ${Object.keys(architectures).join(", ")}.`,
  );
  expect(() => readModel(changed(file, { "general.architecture": "toString" }))).toThrow(
    expect.objectContaining({ code: "unsupported-model" }),
  );
  expect(() => readModel(changed(file, { "general.architecture": undefined }))).toThrow(
    expect.objectContaining({ code: "bad-file" }),
  );
});
