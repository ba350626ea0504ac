import fc from "fast-check";
import { describe, expect } from "vitest";
import { joinedNorms } from "../../../src/kernels/joined_norms.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { joinedNormsReference } from "../../reference/kernels/joined_norms.ts";
import { plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(12);

describe.for(variantCases)("joined_norms, $name", ({ variant: { norm } }) => {
  const { constants, reduce } = norm;

  kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
    const drawing = fc.record({
      width: fc.constantFrom(4, 12, 52, 516, 1028),
      tokens: fc.integer({ min: 1, max: 4 }),
      // A row of zeros rests on epsilon alone.
      epsilon: fc.constantFrom(1e-6, 1),
      hasResidual: fc.boolean(),
      hasScale: fc.boolean(),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(drawing, async (drawn) => {
        const { width, tokens, epsilon, hasResidual, hasScale, plant, seed } = drawn;
        const random = createRandom(seed);
        const a = randomInput(random, tokens * width, plant);
        const b = randomInput(random, tokens * width);
        const bFirst = 4 * random.integer(3);
        const weights = randomInput(random, 3 * width);
        const residual = hasResidual ? randomInput(random, tokens * width) : undefined;
        const scale = hasScale ? randomInput(random, 1) : undefined;

        const { y } = await run(joinedNorms, {
          params: {
            width,
            b_first: bFirst / 4,
            epsilon,
            has_residual: hasResidual ? 1 : 0,
            has_scale: hasScale ? 1 : 0,
          },
          // What is not added may be any buffer, and shorter: here all of it would spoil the result.
          buffers: {
            a,
            b: Float32Array.of(...new Float32Array(bFirst).fill(Number.NaN), ...b),
            weights,
            residual: residual ?? 16,
            scale: scale ?? 16,
            y: 4 * width * (tokens + 1),
          },
          parts: [reduce],
          constants,
          control: { tokens },
          tokens: tokens + 1,
        });

        const [weightA, weightB, weight] = [0, 1, 2].map((index) =>
          weights.subarray(index * width, (index + 1) * width),
        ) as [Float32Array, Float32Array, Float32Array];
        const inputs = { a, b, weightA, weightB, weight };
        const finish = { residual, scale: scale?.[0] };
        const written = tokens * width;
        expectWithin(
          y.floats.subarray(0, written),
          joinedNormsReference(inputs, Math.fround(epsilon), finish),
        );
        expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { y } = await run(joinedNorms, {
      params: { width: 8, b_first: 0, epsilon: 1, has_residual: 0, has_scale: 0 },
      buffers: {
        a: new Float32Array(8),
        b: new Float32Array(8),
        weights: new Float32Array(24),
        residual: 16,
        scale: 16,
        y: 4 * 8,
      },
      parts: [reduce],
      constants,
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
