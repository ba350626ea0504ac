import fc from "fast-check";
import { expect } from "vitest";
import { argmaxRows } from "../../../src/kernels/argmax_rows.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { argmaxReference, NO_TOKEN } from "../../reference/kernels/argmax.ts";

kernelTest("argmax_rows finds the first of the highest logits of each row", async ({ run }) => {
  // Few different logits, so that many are equal; NaN in some places.
  const logit = fc.constantFrom(-1e30, -80, -2, 0, 3, Number.NaN);
  const logits = fc.record({
    tokens: fc.integer({ min: 1, max: 8 }),
    vocab: fc.constantFrom(1, 3, 63, 64, 65, 131, 1000),
    seed: fc.array(logit, { minLength: 7, maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(logits, async ({ tokens, vocab, seed }) => {
      const values = Array.from({ length: tokens * vocab }, (_, i) => seed[(i * i) % seed.length]!);
      const { result } = await run(argmaxRows, {
        params: { vocab },
        buffers: { logits: Float32Array.from(values), result: 4 * tokens },
        control: { tokens },
      });
      const rows = Array.from({ length: tokens }, (_, token) =>
        argmaxReference(values.slice(token * vocab, (token + 1) * vocab)),
      );

      expect([...result.words]).toEqual(rows);
    }),
    { numRuns: runs(30) },
  );
});

kernelTest("argmax_rows tells of each row whether all of it is NaN", async ({ run }) => {
  const logits = new Float32Array(140).fill(Number.NaN);
  logits[75] = -1;
  const { result } = await run(argmaxRows, {
    params: { vocab: 70 },
    buffers: { logits, result: 8 },
    control: { tokens: 2 },
  });

  expect([...result.words]).toEqual([NO_TOKEN, 5]);
});

kernelTest("argmax_rows writes no row behind the pass's last token", async ({ run }) => {
  const { result } = await run(argmaxRows, {
    params: { vocab: 2 },
    buffers: { logits: new Float32Array(8), result: 16 },
    control: { tokens: 2 },
    tokens: 4,
  });

  expect([...result.words.subarray(2)]).toEqual([...result.before.subarray(2)]);
});

kernelTest("argmax_rows does nothing once a router has faulted", async ({ run }) => {
  const { result } = await run(argmaxRows, {
    params: { vocab: 4 },
    buffers: { logits: new Float32Array(4), result: 4 },
    control: { tokens: 1, fault: 1 },
  });

  expect(result.words).toEqual(result.before);
});
