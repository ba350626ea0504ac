import fc from "fast-check";
import { describe, expect } from "vitest";
import { gatedNorm } from "../../../src/kernels/gated_norm.ts";
import { activationParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { gatedNormReference } from "../../reference/kernels/gated_norm.ts";
import { plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(10);

describe.for(variantCases)(
  "gated_norm, $name",
  ({
    variant: {
      norm: { constants, reduce },
    },
  }) => {
    const parts = [reduce, activationParts.silu];

    kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
      const shape = fc.record({
        groups: fc.constantFrom(1, 3),
        width: fc.constantFrom(1, 52, 130, 513),
        others: fc.constantFrom(0, 5),
        tokens: fc.integer({ min: 1, max: 4 }),
        epsilon: fc.constantFrom(1e-6, 1),
        plant: fc.constantFrom(...plants),
        seed: fc.integer(),
      });
      await fc.assert(
        fc.asyncProperty(shape, async ({ groups, width, others, tokens, epsilon, plant, seed }) => {
          const random = createRandom(seed);
          const row = groups * width;
          const x = randomInput(random, tokens * row, plant);
          const gates = randomInput(random, tokens * row);
          const weight = randomInput(random, row);
          const projected = new Float32Array(tokens * (row + others)).fill(Number.NaN);
          for (let token = 0; token < tokens; token++) {
            projected.set(gates.subarray(token * row, (token + 1) * row), token * (row + others));
          }

          const { y } = await run(gatedNorm, {
            params: { groups, width, gates_width: row + others, epsilon },
            buffers: { x, gates: projected, weight, y: 4 * row * (tokens + 1) },
            parts,
            constants,
            control: { tokens },
            tokens: tokens + 1,
          });

          const written = tokens * row;
          const rule = { width, epsilon: Math.fround(epsilon) };
          expectWithin(y.floats.subarray(0, written), gatedNormReference(x, gates, weight, rule));
          expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
        }),
        { numRuns: NUM_RUNS },
      );
    });

    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const { y } = await run(gatedNorm, {
        params: { groups: 2, width: 4, gates_width: 8, epsilon: 1 },
        buffers: {
          x: new Float32Array(8),
          gates: new Float32Array(8),
          weight: new Float32Array(8),
          y: 4 * 8,
        },
        parts,
        constants,
        control: { tokens: 1, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
