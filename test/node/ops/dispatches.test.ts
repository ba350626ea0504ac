import { describe, expect, test } from "vitest";
import { unallocatedResources } from "../../../src/engine/dry-run.ts";
import { planPools } from "../../../src/engine/pool-layout.ts";
import { choiceOfKind, variantOf } from "../../../src/engine/tuning/choices.ts";
import { subgroupShapes } from "../../../src/engine/tuning/subgroup-check.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { type Accuracy, accuracies } from "../../../src/formats/input/registry.ts";
import { openGguf } from "../../../src/gguf/gguf.ts";
import type { Constants, Kernel } from "../../../src/gpu/kernel.ts";
import { linkKernel } from "../../../src/gpu/pipelines.ts";
import { candidates, reduceParts, variants } from "../../../src/kernels/parts.ts";
import { architectures, readModel } from "../../../src/models/registry.ts";
import { GpuOps, type RecordOptions } from "../../../src/ops/gpu-ops.ts";
import type { GpuResources } from "../../../src/ops/gpu-resources.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";

const SMALL = { hidden: 32, ffn: 32, heads: 4, kvHeads: 2, headDim: 8, layers: 2 } as const;
const GPU = variantOf(choiceOfKind("subgroup"), { leastSubgroup: 32, mostLanes: 256 });
const DECODE: RecordOptions = { maxTokens: 1 };

/** What of a model's resources is other than usual. */
type Change = (resources: GpuResources) => Partial<GpuResources>;

/** A kernel that is compiled for a pass, with what it is linked with and given. */
interface Compiled {
  readonly kernel: Kernel;
  readonly parts: readonly string[];
  readonly constants: Constants;
}

/** A GPU that splits keys among workgroups. */
const LONG_ON_GPU: Change = () => ({ variant: GPU, contextTokens: 1024 });

/** The kernels that a pass of a tiny model dispatches, in order. */
async function compiled(
  options: TinyModelOptions,
  recording: RecordOptions = DECODE,
  change: Change = () => ({}),
): Promise<readonly Compiled[]> {
  const file = await openGguf(memorySource(tinyModel({ ...SMALL, ...options })));
  const { metadata, tensors } = file;
  const spec = readModel({ metadata, shape: (name) => tensors.get(name)?.shape });
  const pools = planPools(file, spec.moe);
  const cache = { contextTokens: 64, cacheFormat: cacheFormats.f32 };
  const resources = unallocatedResources(file, spec, pools, cache);
  const kernels: Compiled[] = [];
  const pipelines = {
    compile(kernel: Kernel, parts: readonly string[], constants: Constants) {
      kernels.push({ kernel, parts, constants });
      return new Promise(() => {});
    },
  };
  const context = { ...resources.context, pipelines } as unknown as GpuResources["context"];
  const own = { ...resources, context };
  const ops = new GpuOps({ ...own, ...change(own) }, spec.moe, recording);
  spec.forward(ops);
  ops.recordEnd();
  return kernels;
}

/** Their names, in order. */
async function dispatches(...of: Parameters<typeof compiled>): Promise<readonly string[]> {
  const names = (await compiled(...of)).map(({ kernel }) => kernel.name);
  // A pass takes one of the ways to choose a token: here the one that needs nothing but argmax.
  const ofOtherWays = new Set(["shape_logits", "pick_token", "count_logits", "sum_weights"]);
  return names.filter((name) => !ofOtherWays.has(name));
}

/** A third of a latent head's dimensions is rotated besides. */
function sizesOf(architecture: keyof typeof architectures): Partial<TinyModelOptions> {
  return architecture === "deepseek2" ? { headDim: 48 } : {};
}

test.for(Object.keys(architectures) as (keyof typeof architectures)[])(
  "no kernel of %s is given a constant that it lacks, whatever the variant",
  async (architecture) => {
    const choices = [variants.serial, variants.workgroup, GPU];
    for (const variant of choices) {
      for (const recording of [DECODE, { maxTokens: 3 }, { maxTokens: 32 }]) {
        const model = { architecture, ...sizesOf(architecture) };
        const kernels = await compiled(model, recording, () => ({ variant }));

        expect(kernels.length).toBeGreaterThan(0);
        for (const { kernel, parts, constants } of kernels) {
          const code = linkKernel(kernel, parts);
          const lacking = Object.keys(constants).filter(
            (name) => !new RegExp(`^override ${name}\\b`, "m").test(code),
          );
          expect({ kernel: kernel.name, lacking }).toEqual({ kernel: kernel.name, lacking: [] });
        }
      }
    }
  },
);

test("every workgroup that sums over subgroups has a shape that the device is asked about", async () => {
  const asked = subgroupShapes().map(({ LANES, ROWS }) => `${LANES} x ${ROWS}`);
  const compressed = { rank: 32, queryRank: 32, valueDim: 32, isSplit: true };
  const models: readonly TinyModelOptions[] = [
    ...(Object.keys(architectures) as (keyof typeof architectures)[]).map((architecture) => ({
      architecture,
      ...sizesOf(architecture),
    })),
    { architecture: "deepseek2", headDim: 48, latent: compressed },
  ];
  const used = new Set<string>();
  for (const name of Object.keys(candidates.matrix).filter((each) => each.startsWith("subgroup"))) {
    const choice = { ...choiceOfKind("subgroup"), matrix: name, batch: name, experts: name };
    const variant = variantOf(choice, { leastSubgroup: 32, mostLanes: 256 });
    for (const model of models) {
      for (const recording of [DECODE, { maxTokens: 3 }, { maxTokens: 32 }]) {
        for (const { parts, constants } of await compiled(model, recording, () => ({ variant }))) {
          const { LANES, ROWS } = constants;
          if (parts.includes(reduceParts.subgroup)) used.add(`${LANES} x ${ROWS}`);
        }
      }
    }
  }

  expect(used.size).toBeGreaterThan(3);
  expect([...used].filter((shape) => !asked.includes(shape))).toEqual([]);
});

const ATTENTION = ["matvec", "self_attention", "matvec"];
const LATENT = ["matvec", "latent_append", "attention", "head_linear"];
const MAMBA = ["matvec", "causal_conv", "ssm_scan", "gated_norm", "matvec"];
const CONV = ["matvec", "causal_conv", "matvec"];
const DENSE = ["gate_up", "matvec"];
const MOE = ["router", "expert_gate_up", "expert_sum"];
/** Dense and sparse beside each other, and norms behind what they give. */
const GEMMA = [...MOE, "joined_norms"];
/** Lanes that have rows by themselves leave layer norms to a dispatch of their own. */
const PHI = ["layer_norm", ...ATTENTION, ...MOE];

const HEAD = ["matvec", "argmax"];

/** The layers of a tiny model of each architecture, and what makes its logits. */
const EXPECTED: Readonly<
  Record<keyof typeof architectures, readonly [readonly (readonly string[])[], string[]?]>
> = {
  smallthinker: [
    [
      ["router", ...ATTENTION, ...MOE.slice(1)],
      ["router", ...ATTENTION, ...MOE.slice(1)],
    ],
  ],
  qwen2moe: [
    [
      [...ATTENTION, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
  qwen3moe: [
    [
      [...ATTENTION, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
  olmoe: [
    [
      [...ATTENTION, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
  llama: [
    [
      [...ATTENTION, ...DENSE],
      [...ATTENTION, ...DENSE],
    ],
  ],
  granite: [
    [
      [...ATTENTION, ...DENSE],
      [...ATTENTION, ...DENSE],
    ],
  ],
  granitemoe: [
    [
      [...ATTENTION, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
  granitehybrid: [
    [
      [...MAMBA, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
  lfm2: [
    [
      [...CONV, ...DENSE],
      [...ATTENTION, ...DENSE],
    ],
  ],
  lfm2moe: [
    [
      [...CONV, ...DENSE],
      [...ATTENTION, ...DENSE],
    ],
  ],
  deepseek2: [
    [
      [...LATENT, "matvec", ...DENSE],
      [...LATENT, "matvec", ...MOE],
    ],
  ],
  gemma4: [
    [
      [...ATTENTION, ...GEMMA],
      [...ATTENTION, ...GEMMA],
    ],
    ["matvec", "softcap", "argmax"],
  ],
  bailingmoe2: [
    [
      [...ATTENTION, ...DENSE],
      [...ATTENTION, ...MOE],
    ],
  ],
  "ernie4_5-moe": [
    [
      [...ATTENTION, ...DENSE],
      [...ATTENTION, ...MOE],
    ],
  ],
  phimoe: [
    [PHI, PHI],
    ["layer_norm", ...HEAD],
  ],
  qwen2: [
    [
      [...ATTENTION, ...DENSE],
      [...ATTENTION, ...DENSE],
    ],
  ],
  qwen3: [
    [
      [...ATTENTION, ...DENSE],
      [...ATTENTION, ...DENSE],
    ],
  ],
  "gpt-oss": [
    [
      [...ATTENTION, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
  sluice: [
    [
      [...ATTENTION, ...MOE],
      [...ATTENTION, ...MOE],
    ],
  ],
};

describe("a decoded token's dispatches", () => {
  test.for(Object.keys(architectures) as (keyof typeof architectures)[])(
    "of %s",
    async (architecture) => {
      const [layers, head = HEAD] = EXPECTED[architecture];

      // A third of a latent head's dimensions is rotated besides.
      const sizes = sizesOf(architecture);

      expect(await dispatches({ architecture, ...sizes })).toEqual([
        "embed",
        ...layers.flat(),
        ...head,
      ]);
    },
  );

  test("of a layer with experts are three beside its attention, shared experts or not", () => {
    const most = Math.max(...Object.values(EXPECTED).flatMap(([layers]) => layers.map(moeCount)));

    expect(most).toBe(3);
  });

  test("of any layer are eight at most", () => {
    const counts = Object.values(EXPECTED).flatMap(([layers]) =>
      layers.map(({ length }) => length),
    );

    expect(Math.max(...counts)).toBe(8);
  });

  test.for(Object.keys(architectures) as (keyof typeof architectures)[])(
    "of %s on a GPU, in a long context",
    async (architecture) => {
      const [layers, head = HEAD] = EXPECTED[architecture];
      const decoded = await dispatches(
        { architecture, ...sizesOf(architecture) },
        DECODE,
        LONG_ON_GPU,
      );

      const split = [...layers, head].map(withSplitKeys);
      expect(decoded).toEqual(["embed", ...split.flat()]);
      expect(Math.max(...split.map(({ length }) => length))).toBeLessThanOrEqual(8);
    },
  );

  test("are as many where no more experts have room than a token chooses", async () => {
    const fewest: Change = ({ arenas }) => ({
      arenas: (pool) => ({ ...arenas(pool), slots: 2, slotsPerArena: 2 }),
    });

    for (const architecture of ["gemma4", "phimoe", "qwen2moe"] as const) {
      expect(await dispatches({ architecture, topK: 2 }, DECODE, fewest)).toEqual(
        await dispatches({ architecture, topK: 2 }),
      );
    }
  });
});

test.for((Object.keys(accuracies) as Accuracy[]).filter((name) => accuracies[name]))(
  "what products read in %s is made once for all of them, by one dispatch more",
  async (accuracy) => {
    const model = { architecture: "qwen2moe", format: "q8_0", layers: 1 } as const;
    const inBlocks: Change = ({ context }) => ({
      accuracy,
      context: { ...context, packedDot: true, halves: true },
    });

    expect(await dispatches(model, DECODE, inBlocks)).toEqual([
      ...["embed", "quantise", "matvec", "self_attention", "quantise", "matvec"],
      ...["router", "quantise", "expert_gate_up", "quantise", "expert_sum"],
      ...["quantise", ...HEAD],
    ]);
    expect(await dispatches({ ...model, format: "f16" }, DECODE, inBlocks)).toEqual(
      await dispatches({ ...model, format: "f16" }),
    );
    expect(await dispatches(model, { maxTokens: 32 }, inBlocks)).toEqual([
      ...["embed", "quantise", "matmul", "matmul", "matmul", "rotate_append", "attention"],
      ...["quantise", "matmul", "router", "quantise", "matmul", "matmul", "gated_unit"],
      ...["quantise", "matmul", "matmul", "add"],
      ...["group_tokens", "grouped_gate_up", "quantise", "grouped_down", "combine"],
      ...["last_token", "quantise", ...HEAD],
    ]);
  },
);

/**
 * The same where lanes share rows and keys are split: what is split is merged, by itself or by what reads it, and layer
 * norms are computed by what reads them.
 */
function withSplitKeys(layer: readonly string[]): string[] {
  return layer.flatMap((name) => {
    if (name === "layer_norm") return [];
    if (name === "self_attention") return [name, "attention_merge"];
    return name === "head_linear" ? ["merged_head_linear"] : [name];
  });
}

/** Dispatches of a layer that are of its experts. */
function moeCount(layer: readonly string[]): number {
  return layer.filter((name) => MOE.includes(name)).length;
}

test("compressed queries of latent attention are expanded by what absorbs them", async () => {
  const latent = { rank: 32, queryRank: 32, valueDim: 32, isSplit: true };
  const model = { architecture: "deepseek2", headDim: 48, layers: 1, latent } as const;
  const [projections, , ...rest] = LATENT;
  const inBlocks: Change = ({ context }) => ({
    accuracy: "int8",
    context: { ...context, packedDot: true },
  });

  const layer = [projections!, "compressed_append", ...rest, "matvec", ...DENSE];

  expect(await dispatches(model)).toEqual(["embed", ...layer, ...HEAD]);
  expect(await dispatches(model, DECODE, LONG_ON_GPU)).toEqual([
    ...["embed", ...withSplitKeys(layer), ...HEAD],
  ]);
  expect(await dispatches({ ...model, format: "q8_0" }, DECODE, inBlocks)).toEqual([
    ...["embed", "quantise", projections, "quantise", "matvec", ...LATENT.slice(1)],
    ...["quantise", "matvec", "quantise", "gate_up", "quantise", "matvec", "quantise", ...HEAD],
  ]);
});

describe("what is not fused", () => {
  const qwen2moe = { architecture: "qwen2moe", layers: 1 } as const;
  const decoded = (change: Change) => dispatches(qwen2moe, DECODE, change);
  const usual = ["embed", ...ATTENTION, ...MOE, ...HEAD];

  test("a matrix in several buffers", async () => {
    const inTwo =
      (wanted: string): Change =>
      ({ matrix }) => ({
        matrix(name) {
          const whole = matrix(name);
          const half = whole.rows / 2;
          const { buffer } = whole.parts[0]!;
          const parts = [0, half].map((firstRow) => ({ buffer, firstRow, rows: half }));
          return name === wanted ? { ...whole, parts } : whole;
        },
      });
    const matvecs = (count: number) => new Array<string>(count).fill("matvec");

    expect(await decoded(inTwo("blk.0.attn_q.weight"))).toEqual([
      ...["embed", ...matvecs(4), "rotate_append", "attention", ...usual.slice(3)],
    ]);
    expect(await decoded(inTwo("blk.0.ffn_down_shexp.weight"))).toEqual([
      ...["embed", ...ATTENTION, "router"],
      ...["gate_up", ...matvecs(2), "matvec", "add", "expert_gate_up", "expert_sum", ...HEAD],
    ]);
  });

  test("attention of more queries than a workgroup has room for", async () => {
    const heads = (count: number) =>
      dispatches({ ...qwen2moe, heads: count, kvHeads: 1, headDim: 4 }, DECODE);

    expect(await heads(32)).toContain("self_attention");
    expect(await heads(34)).not.toContain("self_attention");
    expect(await heads(34)).toContain("rotate_append");
  });

  test("experts in several arenas, and those whose down lies by columns", async () => {
    const shared = ["gate_up", "matvec", "matvec", "add"];
    const arenasOf =
      (own: (arenas: ReturnType<GpuResources["arenas"]>) => object): Change =>
      ({ arenas }) => ({ arenas: (pool) => ({ ...arenas(pool), ...own(arenas(pool)) }) });
    const twice = arenasOf(({ arenas }) => ({ arenas: [...arenas, ...arenas], slots: 2 }));
    const byColumns = arenasOf(() => ({ downByColumns: true }));
    const units = ["expert_gate_up", "expert_gate_up"];

    expect(await decoded(twice)).toEqual([
      ...["embed", ...ATTENTION, "router", ...shared],
      ...[...units, "expert_down", "expert_down", "combine", ...HEAD],
    ]);
    expect(await decoded(byColumns)).toEqual([
      ...["embed", ...ATTENTION, "router", ...shared],
      ...["expert_gate_up", "expert_down_columns", "combine", ...HEAD],
    ]);
  });

  test("products of several tokens, but for their norms", async () => {
    const chunk = await dispatches(qwen2moe, { maxTokens: 32 });

    expect(chunk).toEqual([
      ...["embed", "matmul", "matmul", "matmul", "rotate_append", "attention", "matmul", "router"],
      ...["matmul", "matmul", "gated_unit", "matmul", "matmul", "add"],
      ...["group_tokens", "grouped_gate_up", "grouped_down", "combine", "last_token", ...HEAD],
    ]);
  });

  test("experts of a few tokens of which all that they may choose do not fit", async () => {
    const slots =
      (count: number): Change =>
      ({ arenas }) => ({
        arenas: (pool) => ({ ...arenas(pool), slots: count, slotsPerArena: count }),
      });
    const few = { maxTokens: 3 };

    expect(await dispatches(qwen2moe, few, slots(6))).toContain("expert_sum");
    expect(await dispatches(qwen2moe, few, slots(5))).not.toContain("expert_sum");
  });
});
