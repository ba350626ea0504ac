import { describe, expect, test } from "vitest";
import { DEFAULT_BINDING_BYTES, type LimitRow } from "../../../src/cli/limits.ts";
import { type BudgetRow, type ModelReport, reportModel } from "../../../src/cli/report.ts";
import { architectures } from "../../../src/models/registry.ts";
import { publishedFile, type Scheme } from "../../helpers/published/header.ts";
import { type PublishedModel, publishedModels } from "../../helpers/published/models.ts";
import { type PublishedTensor, publishedTensors } from "../../helpers/published/tensors.ts";

const CONTEXT_TOKENS = 2048;
/** Bytes of a weight in Q4_0. */
const Q4 = 0.5625;

/** A configuration comes under test when its architecture is named in the registry. */
const models = Object.values<PublishedModel>(publishedModels).filter(({ architecture }) =>
  Object.hasOwn(architectures, architecture),
);

function report(
  model: PublishedModel,
  contextTokens: number = CONTEXT_TOKENS,
  scheme?: Scheme,
): Promise<ModelReport> {
  const { signal } = new AbortController();
  return reportModel(publishedFile(model, scheme), {
    contextTokens,
    gpuBudget: undefined,
    kvCache: undefined,
    signal,
  });
}

/** Weights of the tensors that are `wanted`. */
function weightsOf(model: PublishedModel, wanted: (tensor: PublishedTensor) => boolean): number {
  return publishedTensors(model)
    .filter(wanted)
    .reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}

const isExpertBias = ({ name }: PublishedTensor) => name.endsWith("_exps.bias");

describe.for(Object.values<PublishedModel>(publishedModels))("the tensors of $name", (model) => {
  const { experts, expertBytes, residentMb } = model.expected;

  test("come to the published bytes of an expert", () => {
    const perWeight = model.expertFormat === "mxfp4" ? 0.53125 : Q4;
    const weights = weightsOf(model, ({ kind }) => kind === "expert");
    expect((weights / experts) * perWeight).toBe(expertBytes);
  });

  test("come to the published bytes of what every token reads", () => {
    const isRead = (tensor: PublishedTensor) =>
      tensor.kind !== "expert" &&
      !isExpertBias(tensor) &&
      (model.tied || tensor.name !== "token_embd.weight");
    const megabytes = (weightsOf(model, isRead) * Q4) / 1e6;
    expect(megabytes / residentMb).toBeGreaterThan(0.99);
    expect(megabytes / residentMb).toBeLessThan(1.01);
  });
});

describe.for(models)("inspect of $name", (model) => {
  test("gives the published bytes of an expert, and of all experts", async () => {
    const { model: told, expert } = await report(model);

    const { expertBytes, experts } = model.expected;
    const biasBytes = (4 * weightsOf(model, isExpertBias)) / experts;
    expect(told).toMatchObject({
      architecture: model.architecture,
      name: model.name,
      layers: model.layers,
      experts: model.experts,
      topK: model.topK,
      vocab: model.vocab,
      contextTokens: CONTEXT_TOKENS,
      trainedContextTokens: model.contextTokens,
    });
    // The parts of a record begin at multiples of 16 bytes.
    expect(expert.bytes).toBeGreaterThanOrEqual(expertBytes + biasBytes);
    expect(expert.bytes).toBeLessThan(expertBytes + biasBytes + 6 * 32);
    expect(expert.allBytes).toBe(experts * expert.bytes);
  });

  test("gives the published bytes of what every token reads", async () => {
    const { gpu } = await report(model);

    // The figures count no embedding beside a head of its own, and 0.5625 bytes for each weight of a router or a vector,
    // which are F32.
    const embedding = model.tied ? 0 : model.vocab * model.hidden * Q4;
    const f32 = weightsOf(model, (tensor) => tensor.kind === "f32" && !isExpertBias(tensor));
    const published = 1e6 * model.expected.residentMb + embedding + f32 * (4 - Q4);
    expect(gpu.weightBytes / published).toBeGreaterThan(0.985);
    expect(gpu.weightBytes / published).toBeLessThan(1.015);
  });

  test("plans for 2, 4 and 8 GB what fits, or says what is needed", async () => {
    const { budgets, gpu } = await report(model);

    let before = 0;
    for (const [name, bytes] of Object.entries({ "2GB": 2e9, "4GB": 4e9, "8GB": 8e9 })) {
      const row = budgets.find(({ budget }) => budget === name)!;
      expect(row.error === undefined, name).toBe(bytes >= gpu.minGpuBudgetBytes);
      if (row.error !== undefined) {
        expect(row.error).toMatch(/is too small: this model takes .* Give at least \d/);
        continue;
      }
      expect(row.gpuBytes).toBeLessThanOrEqual(bytes);
      expect(Math.min(...row.slots)).toBeGreaterThanOrEqual(model.topK);
      expect(row.residentExperts).toBeGreaterThanOrEqual(before);
      before = row.residentExperts;
      if (bytes >= gpu.fullGpuBudgetBytes) expect(row.residentExperts).toBe(row.totalExperts);
    }
  });

  test("names what no default device binds", async () => {
    const { limits } = await report(model);

    const { vocab, hidden } = model;
    const long = vocab * hidden * Q4 > DEFAULT_BINDING_BYTES;
    const names = limits.map(({ what }) => what);
    expect(names.includes("token_embd.weight")).toBe(long);
    for (const row of limits) expect(row.bytes).toBeGreaterThan(DEFAULT_BINDING_BYTES);
  });
});

/** Numbers that all layers keep for a context of {@link CONTEXT_TOKENS}, counted from the published shapes. */
function cachedNumbers(model: PublishedModel): number {
  const { layers, attentionLayers, kvHeads, headDim, architecture, latent } = model;
  const all = attentionLayers?.length ?? layers;
  // A prefill chunk of 512 tokens still sees all of its first token's window; rows come in blocks of 8.
  const ring = (window: number) => Math.min(CONTEXT_TOKENS, Math.ceil((window + 511) / 8) * 8);
  // Latent attention keeps one row, of which the compressed part is the values, too.
  if (latent) return layers * CONTEXT_TOKENS * (latent.kvRank + latent.rope);
  const row = 2 * kvHeads * headDim;
  if (architecture === "gpt-oss") return (layers / 2) * (CONTEXT_TOKENS + ring(128)) * row;
  // Five layers of six see 1024 tokens; the others have 2 heads of 512.
  if (architecture === "gemma4") return 25 * ring(1024) * row + 5 * CONTEXT_TOKENS * 2 * 2 * 512;
  return all * CONTEXT_TOKENS * row;
}

test.for(models)("keys and values of $name are those of its layers, in f32", async (model) => {
  const { gpu } = await report(model);

  expect(gpu.kvCacheBytes).toBe(4 * cachedNumbers(model));
});

describe("limits", () => {
  const find = (limits: readonly LimitRow[], what: string) =>
    limits.find((row) => row.what === what);

  test("a vocabulary in Q8_0 lies in several buffers", async () => {
    const { limits } = await report(publishedModels.qwen3Moe, CONTEXT_TOKENS, {
      vocabulary: "q8_0",
    });

    const bytes = 151_936 * 2048 * 1.0625;
    expect(limits).toEqual([
      { kind: "matrix", what: "token_embd.weight", bytes, parts: 3 },
      { kind: "matrix", what: "output.weight", bytes, parts: 3 },
    ]);
  });

  test("a context whose keys and values are too long is told with the longest that fits", async () => {
    const { olmoe, smallThinker4b } = publishedModels;
    expect(find((await report(olmoe, 4096)).limits, "keys and values of a layer")).toBeUndefined();
    const longer = { ...olmoe, contextTokens: 32_768 };
    const { limits } = await report(longer, 16_384);

    expect(limits).toEqual([
      {
        kind: "kv-cache",
        what: "keys and values of a layer",
        bytes: 8 * 16 * 128 * 16_384,
        contextTokens: 8192,
      },
    ]);
    expect((await report(smallThinker4b, 32_768)).limits.map(({ kind }) => kind)).not.toContain(
      "kv-cache",
    );
  });

  test("an expert that is too long needs another device", async () => {
    const { limits } = await report({ ...publishedModels.mixtral, ffn: 2 * 14_336 });

    expect(limits).toEqual([{ kind: "device", what: "an expert", bytes: 2 * 99_090_432 }]);
  });
});

test("every budget is told once", async () => {
  const { budgets } = await report(publishedModels.olmoe);

  expect(budgets.map(({ budget }: BudgetRow) => budget).slice(1)).toEqual([
    ...["25%", "50%", "75%", "100%"],
    ...["2GB", "4GB", "8GB"],
  ]);
});
