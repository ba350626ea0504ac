import fc from "fast-check";
import { describe, expect } from "vitest";
import { layerNorm } from "../../../src/kernels/layer_norm.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { layerNormReference } from "../../reference/kernels/layer_norm.ts";
import { plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(10);

describe.for(variantCases)(
  "layer_norm, $name",
  ({
    variant: {
      norm: { constants, reduce },
    },
  }) => {
    kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
      const shape = fc.record({
        width: fc.constantFrom(4, 12, 52, 512, 516, 1028),
        tokens: fc.integer({ min: 1, max: 5 }),
        epsilon: fc.constantFrom(1e-5, 1),
        centred: fc.boolean(),
        // A mean far from 0, which the squares must not swallow.
        mean: fc.constantFrom(0, 10),
        plant: fc.constantFrom(...plants),
        seed: fc.integer(),
      });
      await fc.assert(
        fc.asyncProperty(shape, async (drawn) => {
          const { width, tokens, epsilon, centred, mean, plant, seed } = drawn;
          const random = createRandom(seed);
          const x = randomInput(random, tokens * width, plant).map((value) => value + mean);
          const weight = randomInput(random, width);
          const bias = randomInput(random, width);

          const { y } = await run(layerNorm, {
            params: { width, epsilon, centred: centred ? 1 : 0 },
            buffers: {
              x,
              weight_bias: Float32Array.of(...weight, ...bias),
              y: 4 * width * (tokens + 1),
            },
            parts: [reduce],
            constants,
            control: { tokens },
            tokens: tokens + 1,
          });

          const written = tokens * width;
          expectWithin(
            y.floats.subarray(0, written),
            layerNormReference(x, weight, bias, { epsilon: Math.fround(epsilon), centred }),
          );
          expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
        }),
        { numRuns: NUM_RUNS },
      );
    });

    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const { y } = await run(layerNorm, {
        params: { width: 8, epsilon: 1, centred: 1 },
        buffers: { x: new Float32Array(8), weight_bias: new Float32Array(16), y: 4 * 8 },
        parts: [reduce],
        constants,
        control: { tokens: 1, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
