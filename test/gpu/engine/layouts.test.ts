import { expect, test } from "vitest";
import { createGpuEngine } from "../../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../../helpers/tiny-models.ts";
import { runLayout, testLayouts, warmStats } from "../../suites/layouts.ts";

testLayouts(() => createGpuEngine());

const SIZES = { hidden: 64, ffn: 32, heads: 2, kvHeads: 2, headDim: 32 } as const;

/** Matrices of the vocabulary take 256,000 bytes: three parts and more. */
const SMALL_BUFFERS = 98_304;

test.for<TinyModelOptions>([
  { architecture: "qwen3moe", ...SIZES, experts: 4, vocab: 1000 },
  {
    architecture: "smallthinker",
    ...SIZES,
    vocab: 1001,
    format: "f16",
    embeddingFormat: "f32",
    tiedHead: true,
  },
])("matrices in several buffers change no bit: %o", async (options) => {
  const model = tinyModel(options);
  const engine = createGpuEngine();
  const small = createGpuEngine({ maxBufferBytes: SMALL_BUFFERS });
  try {
    const whole = await runLayout(engine, model.buffer, { contextTokens: 32 });
    const cut = await runLayout(small, model.buffer, { contextTokens: 32 });

    expect(cut.results).toEqual(whole.results);
    const ofWhole = await warmStats(engine);
    const ofCut = await warmStats(small);
    expect(ofCut.dispatchesPerToken).toBeGreaterThan(ofWhole.dispatchesPerToken + 2);
    expect(ofCut.dispatchesPerLayer).toBe(ofWhole.dispatchesPerLayer);
  } finally {
    await engine.dispose();
    await small.dispose();
  }
});
