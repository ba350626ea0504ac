import fc from "fast-check";
import { expect } from "vitest";
import { argmax } from "../../../src/kernels/argmax.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { argmaxReference, NO_TOKEN } from "../../reference/kernels/argmax.ts";

const NUM_RUNS = 20;
const LOWEST_F32 = -(2 - 2 ** -23) * 2 ** 127;

async function argmaxOf(run: RunKernel, logits: ArrayLike<number>): Promise<number> {
  const { result } = await run(argmax, {
    params: { vocab: logits.length },
    buffers: { logits: Float32Array.from(logits), result: 4 },
    control: { tokens: 1 },
  });
  return result.words[0]!;
}

kernelTest("argmax finds the first of the highest logits", async ({ run }) => {
  // Few different logits, so that many are equal; all below 0 in some runs, NaN in others.
  const logit = fc.constantFrom(-1e30, -80, -2, -1, Number.NaN);
  const positive = fc.constantFrom(-1, 0, 1, 80, 1e30, Number.NaN);
  const logits = fc.constantFrom(1, 3, 63, 64, 65, 131, 1000).chain((length) => {
    const options = { minLength: length, maxLength: length };
    return fc.oneof(fc.array(logit, options), fc.array(positive, options));
  });
  await fc.assert(
    fc.asyncProperty(logits, async (drawn) => {
      expect(await argmaxOf(run, drawn)).toBe(argmaxReference(drawn));
    }),
    { numRuns: NUM_RUNS },
  );
});

kernelTest.for([0, 1, 63, 64, 65, 199])("argmax finds a peak at %i", async (peak, { run }) => {
  const logits = new Float32Array(200).fill(-5);
  logits[peak] = -4;

  expect(await argmaxOf(run, logits)).toBe(peak);
});

kernelTest("argmax finds a peak in a large vocabulary", async ({ run }) => {
  const logits = new Float32Array(262_144).fill(-5);
  logits[262_143] = -4;
  expect(await argmaxOf(run, logits)).toBe(262_143);
  logits[201_088] = -4;
  expect(await argmaxOf(run, logits)).toBe(201_088);
});

kernelTest("argmax finds the lowest number that there is among NaN", async ({ run }) => {
  const logits = new Float32Array(130).fill(Number.NaN);
  logits[70] = LOWEST_F32;
  logits[129] = LOWEST_F32;

  expect(await argmaxOf(run, logits)).toBe(70);
});

kernelTest("argmax tells when every logit is NaN", async ({ run }) => {
  expect(await argmaxOf(run, new Float32Array(70).fill(Number.NaN))).toBe(NO_TOKEN);
});

kernelTest("argmax does nothing once a router has faulted", async ({ run }) => {
  const { result } = await run(argmax, {
    params: { vocab: 4 },
    buffers: { logits: new Float32Array(4), result: 4 },
    control: { tokens: 1, fault: 1 },
  });

  expect(result.words).toEqual(result.before);
});
