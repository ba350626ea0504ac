import fc from "fast-check";
import { type WeightFormatName, weightFormats } from "../../src/formats/registry.ts";
import type { ArchitectureName } from "../../src/models/registry.ts";
import type { TinyModelOptions } from "./tiny-models.ts";

/** Shapes of any architecture. Rows that are no whole blocks of the format are F32. */
const shapes = fc.record({
  format: fc.constantFrom(...(Object.keys(weightFormats) as WeightFormatName[])),
  layers: fc.integer({ min: 2, max: 3 }),
  hidden: fc.constantFrom(32, 64, 96, 160, 256),
  ffn: fc.constantFrom(32, 64, 96, 160, 256),
  heads: fc.constantFrom(2, 4, 6),
  kvHeads: fc.constantFrom(1, 2),
  headDim: fc.constantFrom(8, 16, 24, 32, 64),
  experts: fc.constantFrom(4, 8, 12, 16),
  topK: fc.integer({ min: 1, max: 4 }),
  tiedHead: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

/** What of that an architecture wants otherwise, and what it has of its own. */
const OWN: Partial<Record<ArchitectureName, fc.Arbitrary<Partial<TinyModelOptions>>>> = {
  smallthinker: fc.record({
    score: fc.constantFrom("sigmoid" as const, "softmax" as const),
    windows: fc.boolean(),
  }),
  sluice: fc.record({
    routerInput: fc.constantFrom(
      ...(["pre-attention", "previous-layer", "decoupled", "token", "post-attention"] as const),
    ),
  }),
  llama: fc.record({
    experts: fc.constantFrom(0, 6),
    fused: fc.boolean(),
    ropeFactors: fc.constantFrom("none" as const, "llama 3" as const, "longrope" as const),
  }),
  "gpt-oss": fc.record({ window: fc.integer({ min: 1, max: 40 }) }),
  phimoe: fc.record({ ropeFactors: fc.constantFrom("none" as const, "longrope" as const) }),
  // Groups of two experts, half of which are kept.
  bailingmoe2: fc.record({
    topK: fc.integer({ min: 1, max: 2 }),
    score: fc.constantFrom("sigmoid" as const, "softmax" as const),
    selectionBias: fc.boolean(),
  }),
  "ernie4_5-moe": fc.record({
    layers: fc.integer({ min: 3, max: 4 }),
    moeStep: fc.integer({ min: 1, max: 2 }),
    selectionBias: fc.boolean(),
  }),
  deepseek2: fc.record({
    headDim: fc.constantFrom(24, 48),
    score: fc.constantFrom("sigmoid" as const, "softmax" as const),
    latent: fc.record({
      rank: fc.constantFrom(32, 40, 64),
      queryRank: fc.constantFrom(0, 32),
      valueDim: fc.constantFrom(16, 24, 32),
      isSplit: fc.boolean(),
    }),
  }),
  gemma4: fc.record({ headDim: fc.constantFrom(16, 32, 64) }),
  // Attention is as wide as the residual stream.
  lfm2: fc.constant({ hidden: 64, heads: 4, headDim: 16, experts: 0 }),
  lfm2moe: fc.constant({ hidden: 96, heads: 4, headDim: 24, layers: 4 }),
  qwen2: fc.constant({ experts: 0 }),
  qwen3: fc.constant({ experts: 0 }),
  granite: fc.constant({ experts: 0 }),
};

/** Random models of an architecture: shapes, formats and everything that its files may have. */
export function randomModels(architecture: ArchitectureName): fc.Arbitrary<TinyModelOptions> {
  return fc.tuple(shapes, OWN[architecture] ?? fc.constant({})).map(([shape, own]) => {
    const all = { architecture, ...shape, ...own };
    // Each head has keys of its own in files of that architecture.
    const kvHeads = architecture === "olmoe" ? all.heads : all.kvHeads;
    return { ...all, kvHeads } as TinyModelOptions;
  });
}
