import fc from "fast-check";
import { describe, expect } from "vitest";
import { rmsNorm } from "../../../src/kernels/rms_norm.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { rmsNormReference } from "../../reference/kernels/rms_norm.ts";
import { plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(12);
/** A norm with nothing done to it. */
const PLAIN = { has_residual: 0, has_scale: 0 } as const;

describe.for(variantCases)(
  "rms_norm, $name",
  ({
    variant: {
      norm: { constants, reduce },
    },
  }) => {
    kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
      const shape = fc.record({
        width: fc.constantFrom(4, 12, 52, 512, 516, 1028),
        tokens: fc.integer({ min: 1, max: 5 }),
        // A row of zeros rests on epsilon alone.
        epsilon: fc.constantFrom(1e-6, 1e-5, 1),
        plant: fc.constantFrom(...plants),
        seed: fc.integer(),
      });
      await fc.assert(
        fc.asyncProperty(shape, async ({ width, tokens, epsilon, plant, seed }) => {
          const random = createRandom(seed);
          const x = randomInput(random, tokens * width, plant);
          const weight = randomInput(random, width);

          const { y } = await run(rmsNorm, {
            params: { width, epsilon, ...PLAIN },
            // What is not added may be any buffer, and shorter: here all of it would spoil the result.
            buffers: { x, weight, residual: 16, scale: 16, y: 4 * width * (tokens + 1) },
            parts: [reduce],
            constants,
            control: { tokens },
            tokens: tokens + 1,
          });

          const written = tokens * width;
          expectWithin(
            y.floats.subarray(0, written),
            rmsNormReference(x, weight, Math.fround(epsilon)),
          );
          expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
        }),
        { numRuns: NUM_RUNS },
      );
    });

    kernelTest("finishes with a residual and a scale", async ({ run }) => {
      const drawing = fc.record({
        hasResidual: fc.boolean(),
        hasScale: fc.boolean(),
        seed: fc.integer(),
      });
      const [width, tokens] = [52, 3];
      await fc.assert(
        fc.asyncProperty(drawing, async ({ hasResidual, hasScale, seed }) => {
          const random = createRandom(seed);
          const x = randomInput(random, tokens * width);
          const weight = randomInput(random, width);
          const residual = hasResidual ? randomInput(random, tokens * width) : undefined;
          const scale = hasScale ? randomInput(random, 1) : undefined;

          const { y } = await run(rmsNorm, {
            params: {
              width,
              epsilon: 1e-6,
              has_residual: hasResidual ? 1 : 0,
              has_scale: hasScale ? 1 : 0,
            },
            buffers: {
              x,
              weight,
              residual: residual ?? 16,
              scale: scale ?? 16,
              y: 4 * width * tokens,
            },
            parts: [reduce],
            constants: { ...constants, FINISHES: 1 },
            control: { tokens },
          });

          const finish = { residual, scale: scale?.[0] };
          expectWithin(y.floats, rmsNormReference(x, weight, Math.fround(1e-6), finish));
        }),
        { numRuns: NUM_RUNS },
      );
    });

    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const { y } = await run(rmsNorm, {
        params: { width: 8, epsilon: 1, ...PLAIN },
        buffers: {
          x: new Float32Array(8),
          weight: new Float32Array(8),
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
  },
);
