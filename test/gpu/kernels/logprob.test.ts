import fc from "fast-check";
import { expect } from "vitest";
import { logprob } from "../../../src/kernels/logprob.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { logprobReference } from "../../reference/kernels/logprob.ts";

const NUM_RUNS = runs(30);
const CHUNK = 8;

kernelTest(
  "logprob agrees with f64 for the token that follows, and writes no other",
  async ({ run }) => {
    const shape = fc.record({
      vocab: fc.constantFrom(1, 2, 63, 64, 65, 320, 2048, 50_001),
      tokens: fc.integer({ min: 1, max: CHUNK }),
      // Spreads of a flat, a usual and a sure distribution; the last has terms that are nothing in f32.
      spread: fc.constantFrom(0, 1, 4, 60),
      offset: fc.constantFrom(0, -1000, 30_000),
      target: fc.constantFrom("any", "highest", "lowest", "last"),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ vocab, tokens, spread, offset, target, seed }) => {
        const random = createRandom(seed);
        const logits = normalArray(random, vocab, spread).map((logit) => logit + offset);
        const byLogit = [...logits.keys()].sort((a, b) => logits[a]! - logits[b]!);
        const wanted = {
          any: random.integer(vocab),
          highest: byLogit.at(-1)!,
          lowest: byLogit[0]!,
          last: vocab - 1,
        }[target];
        const tokenIds = Array.from({ length: CHUNK + 1 }, () => random.integer(vocab));
        tokenIds[tokens] = wanted;

        const { scores } = await run(logprob, {
          params: { vocab },
          buffers: { logits, scores: 4 * CHUNK },
          control: { tokens, tokenIds },
        });

        expectWithin(scores.floats.subarray(tokens - 1, tokens), logprobReference(logits, wanted));
        const others = (words: Uint32Array) => words.filter((_, index) => index !== tokens - 1);
        expect(others(scores.words)).toEqual(others(scores.before));
      }),
      { numRuns: NUM_RUNS },
    );
  },
);

kernelTest("logprob agrees with f64 in a large vocabulary", async ({ run }) => {
  const vocab = 262_144;
  const logits = normalArray(createRandom(1), vocab, 3);

  const { scores } = await run(logprob, {
    params: { vocab },
    buffers: { logits, scores: 4 },
    control: { tokens: 1, tokenIds: [5, vocab - 1] },
  });

  expectWithin(scores.floats, logprobReference(logits, vocab - 1));
});

kernelTest.for([0, 5, 77, 129])("logprob tells that logit %i is NaN", async (at, { run }) => {
  const logits = new Float32Array(130);
  logits[at] = Number.NaN;

  const { scores } = await run(logprob, {
    params: { vocab: 130 },
    buffers: { logits, scores: 4 },
    control: { tokens: 1, tokenIds: [5, 6] },
  });

  expect(scores.floats[0]).not.toSatisfy(Number.isFinite);
});

kernelTest("logprob does nothing once a router has faulted", async ({ run }) => {
  const { scores } = await run(logprob, {
    params: { vocab: 4 },
    buffers: { logits: new Float32Array(4), scores: 4 },
    control: { tokens: 1, tokenIds: [0, 1], fault: 1 },
  });

  expect(scores.words).toEqual(scores.before);
});
