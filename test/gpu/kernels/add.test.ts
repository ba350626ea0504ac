import fc from "fast-check";
import { expect } from "vitest";
import { add } from "../../../src/kernels/add.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { addReference } from "../../reference/kernels/add.ts";
import { plants, randomInput } from "./cases.ts";

const NUM_RUNS = runs(10);

kernelTest("add agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
  const shape = fc.record({
    width: fc.constantFrom(1, 63, 64, 65, 131),
    tokens: fc.integer({ min: 1, max: 5 }),
    gated: fc.boolean(),
    plant: fc.constantFrom(...plants),
    seed: fc.integer(),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ width, tokens, gated, plant, seed }) => {
      const random = createRandom(seed);
      const a = randomInput(random, tokens * width, plant);
      const b = randomInput(random, tokens * width);
      const gate = randomInput(random, tokens).map((value) => 4 * value);

      const { y } = await run(add, {
        params: { width, gated: gated ? 1 : 0 },
        buffers: { a, b, gate, y: 4 * width * (tokens + 1) },
        control: { tokens },
        tokens: tokens + 1,
      });

      const written = tokens * width;
      const expected = addReference(a, b, width, gated ? gate : undefined);
      expectWithin(y.floats.subarray(0, written), expected);
      expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
    }),
    { numRuns: NUM_RUNS },
  );
});

kernelTest("add does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(add, {
    params: { width: 5, gated: 1 },
    buffers: { a: new Float32Array(5), b: new Float32Array(5), gate: new Float32Array(1), y: 20 },
    control: { tokens: 1, fault: 1 },
  });

  expect(y.words).toEqual(y.before);
});
