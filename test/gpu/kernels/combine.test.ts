import fc from "fast-check";
import { expect } from "vitest";
import { combine } from "../../../src/kernels/combine.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { combineInOrder, combineReference } from "../../reference/kernels/combine.ts";
import { plants, randomInput } from "./cases.ts";

const NUM_RUNS = runs(10);

kernelTest("combine agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
  const shape = fc.record({
    hidden: fc.constantFrom(1, 63, 65, 131),
    topK: fc.constantFrom(1, 2, 3, 8),
    tokens: fc.integer({ min: 1, max: 5 }),
    routingFirst: fc.constantFrom(0, 5),
    plant: fc.constantFrom(...plants),
    hasResidual: fc.boolean(),
    seed: fc.integer(),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ hidden, topK, tokens, routingFirst, ...drawn }) => {
      const { plant, hasResidual, seed } = drawn;
      const random = createRandom(seed);
      const x = randomInput(random, tokens * topK * hidden, plant);
      const allWeights = randomInput(random, routingFirst + tokens * topK);
      const weights = allWeights.subarray(routingFirst);
      const zeros = new Float32Array(tokens * hidden);
      const residual = hasResidual ? randomInput(random, tokens * hidden) : zeros;

      const { y } = await run(combine, {
        params: {
          hidden,
          top_k: topK,
          routing_first: routingFirst,
          has_residual: hasResidual ? 1 : 0,
        },
        buffers: {
          x,
          expert_weights: allWeights,
          residual: hasResidual ? residual : 16,
          y: 4 * hidden * (tokens + 1),
        },
        control: { tokens },
        tokens: tokens + 1,
      });

      const written = tokens * hidden;
      expectWithin(
        y.floats.subarray(0, written),
        combineReference({ hidden, topK, x, weights, residual }),
      );
      expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
    }),
    { numRuns: NUM_RUNS },
  );
});

kernelTest("combine sums in the router's order", async ({ run }) => {
  const [hidden, topK, tokens] = [67, 8, 3];
  const random = createRandom(1);
  const x = randomInput(random, tokens * topK * hidden);
  const residual = randomInput(random, tokens * hidden);
  // Powers of 2 leave nothing of a product to round, whether or not it is fused with the sum.
  const weights = Float32Array.from({ length: tokens * topK }, () => 2 ** -random.integer(6));

  const { y } = await run(combine, {
    params: { hidden, top_k: topK, routing_first: 0, has_residual: 1 },
    buffers: { x, expert_weights: weights, residual, y: 4 * tokens * hidden },
    control: { tokens },
  });

  expect(y.floats).toEqual(combineInOrder({ hidden, topK, x, weights, residual }));
});

kernelTest("combine does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(combine, {
    params: { hidden: 5, top_k: 2, routing_first: 0, has_residual: 1 },
    buffers: {
      x: new Float32Array(10),
      expert_weights: new Float32Array(2),
      residual: new Float32Array(5),
      y: 4 * 5,
    },
    control: { tokens: 1, fault: 1 },
  });

  expect(y.words).toEqual(y.before);
});
