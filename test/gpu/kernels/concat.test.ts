import fc from "fast-check";
import { expect } from "vitest";
import { concat } from "../../../src/kernels/concat.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";

const width = fc.constantFrom(1, 3, 64, 65, 130);

kernelTest("concat puts two rows of each token side by side", async ({ run }) => {
  const shape = fc.record({ tokens: fc.integer({ min: 1, max: 5 }), a: width, b: width });
  await fc.assert(
    fc.asyncProperty(shape, async ({ tokens, a, b }) => {
      const numbers = (first: number, count: number) =>
        Float32Array.from({ length: count }, (_, index) => first + index);
      const [left, right] = [numbers(1, tokens * a), numbers(10_000, tokens * b)];
      const { y } = await run(concat, {
        params: { a_width: a, b_width: b },
        buffers: { a: left, b: right, y: 4 * tokens * (a + b) },
        control: { tokens },
      });

      for (let token = 0; token < tokens; token++) {
        const row = y.floats.subarray(token * (a + b), (token + 1) * (a + b));
        expect([...row]).toEqual([
          ...left.subarray(token * a, (token + 1) * a),
          ...right.subarray(token * b, (token + 1) * b),
        ]);
      }
    }),
    { numRuns: runs(20) },
  );
});

kernelTest("concat does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(concat, {
    params: { a_width: 2, b_width: 2 },
    buffers: { a: new Float32Array(2), b: new Float32Array(2), y: 16 },
    control: { tokens: 1, fault: 1 },
  });

  expect(y.words).toEqual(y.before);
});
