import { expect, onTestFinished, test } from "vitest";
import { openGpu } from "../../src/gpu/device.ts";
import { moeReference, randomMoe } from "../bench/peers/moe-weights.ts";
import { createSluiceLayer } from "../bench/peers/sluice-layer.ts";
import { greatestDifference } from "../helpers/within.ts";

/** A few hundred products of numbers near 1 are summed in f32. */
const TOLERANCE = 1e-4;

test.for([1, 5])(
  "the layer that is compared with other engines is right, of %d tokens",
  async (tokens) => {
    const context = await openGpu(navigator.gpu);
    onTestFinished(() => context.dispose());
    const weights = randomMoe({ hidden: 64, experts: 8, topK: 2, ffn: 64, maxTokens: 8 }, 3);
    const layer = await createSluiceLayer(context, weights, tokens);
    onTestFinished(() => layer.dispose());

    const outputs = await layer.outputs();

    expect(greatestDifference([...outputs], moeReference(weights, tokens))).toBeLessThan(TOLERANCE);
  },
);
