import fc from "fast-check";
import { expect } from "vitest";
import { encodeReplyBlock } from "../../../src/engine/reply-block.ts";
import { PLAIN } from "../../../src/engine/sampler.ts";
import { argmax } from "../../../src/kernels/argmax.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { argmaxReference, NO_TOKEN } from "../../reference/kernels/argmax.ts";

const NUM_RUNS = runs(20);
const LOWEST_F32 = -(2 - 2 ** -23) * 2 ** 127;

/** A reply that some tokens end. */
const replyBlock = (endTokens: number[]) =>
  encodeReplyBlock({ endTokens, sampler: PLAIN, seed: 0, vocab: 4 });

/** A reply that nothing ends. */
const NO_ENDS = replyBlock([]);

async function argmaxOf(run: RunKernel, logits: ArrayLike<number>): Promise<number> {
  const { result } = await run(argmax, {
    params: { vocab: logits.length },
    buffers: { logits: Float32Array.from(logits), reply: NO_ENDS, result: 4 },
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

/** Argmax of `[0, 1, 0, 0]` behind a pass of 3 tokens at position 5. */
async function endPass(run: RunKernel, control: { fault?: number; continues?: number }) {
  return run(argmax, {
    params: { vocab: 4 },
    buffers: {
      logits: Float32Array.of(0, 1, 0, 0),
      reply: replyBlock([3, 2]),
      result: 4,
    },
    control: { tokens: 3, position: 5, tokenIds: [9, 8, 7], ...control },
    writesControl: true,
  });
}

kernelTest("argmax does nothing once a router has faulted", async ({ run }) => {
  const { result, control } = await endPass(run, { fault: 2, continues: 1 });

  expect(result.words).toEqual(result.before);
  expect([...control]).toEqual([2, 3, 5, 1, 9, 8, 7]);
});

kernelTest("argmax makes its token what the next pass computes", async ({ run }) => {
  const { result, control } = await endPass(run, { continues: 1 });

  expect(result.words[0]).toBe(1);
  expect([...control]).toEqual([0, 1, 8, 1, 1, 8, 7]);
});

kernelTest("argmax leaves the control block alone where nothing continues", async ({ run }) => {
  const { control } = await endPass(run, {});

  expect([...control]).toEqual([0, 3, 5, 0, 9, 8, 7]);
});

kernelTest("argmax stops the passes behind an end token or no number", async ({ run }) => {
  const stopped = async (logits: number[], continues: number) => {
    const { fault } = await run(argmax, {
      params: { vocab: logits.length },
      buffers: {
        logits: Float32Array.from(logits),
        reply: replyBlock([3, 2]),
        result: 4,
      },
      control: { tokens: 1, continues },
      writesControl: true,
    });
    return fault === 0xffff_ffff;
  };

  expect(await stopped([0, 0, 0, 1], 1)).toBe(true);
  expect(await stopped([0, 0, 1, 0], 1)).toBe(true);
  expect(await stopped([0, 0, 1, 0], 0)).toBe(false);
  expect(await stopped([Number.NaN, Number.NaN], 1)).toBe(true);
});
