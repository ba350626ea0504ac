import fc from "fast-check";
import { expect } from "vitest";
import { softcap } from "../../../src/kernels/softcap.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { softcapReference } from "../../reference/kernels/softcap.ts";
import { randomInput } from "./cases.ts";

const NUM_RUNS = runs(8);

kernelTest("softcap agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
  const shape = fc.record({
    width: fc.constantFrom(1, 63, 65, 131),
    tokens: fc.integer({ min: 1, max: 3 }),
    cap: fc.constantFrom(0.5, 30),
    spread: fc.constantFrom(0.01, 1, 40),
    seed: fc.integer(),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ width, tokens, cap, spread, seed }) => {
      const random = createRandom(seed);
      const x = randomInput(random, tokens * width).map((value) => spread * value);

      const { y } = await run(softcap, {
        params: { width, cap },
        buffers: { x, y: 4 * width * (tokens + 1) },
        control: { tokens },
        tokens: tokens + 1,
      });

      const written = tokens * width;
      expectWithin(y.floats.subarray(0, written), softcapReference(x, cap));
      expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
    }),
    { numRuns: NUM_RUNS },
  );
});

kernelTest("softcap stays finite far from 0", async ({ run }) => {
  const x = Float32Array.of(-3e38, -1e5, -3000, 0, 3000, 1e5, 3e38);

  const { y } = await run(softcap, {
    params: { width: x.length, cap: 30 },
    buffers: { x, y: x.byteLength },
    control: { tokens: 1 },
  });

  expectWithin(y.floats, softcapReference(x, 30));
});

kernelTest("softcap does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(softcap, {
    params: { width: 5, cap: 30 },
    buffers: { x: new Float32Array(5), y: 4 * 5 },
    control: { tokens: 1, fault: 2 },
  });

  expect(y.words).toEqual(y.before);
});
