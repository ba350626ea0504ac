import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keptTokens, logprobsOf, PLAIN, sampleToken } from "../../../src/engine/sampler.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";

/** Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625 of tokens 3, 0, 4, 1, 2. */
const LOGITS = new Float32Array([0.25, 0.0625, 0.0625, 0.5, 0.125].map(Math.log));
const WARM = { ...PLAIN, temperature: 1 };

/** The tokens that 400 draws give, and how often. */
function draws(
  settings: typeof PLAIN,
  logits = LOGITS,
  recent: number[] = [],
): Map<number, number> {
  const random = createRandom(7);
  const counts = new Map<number, number>();
  for (let draw = 0; draw < 400; draw++) {
    const token = sampleToken(logits, settings, recent, () => random.uniform());
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  return counts;
}

describe("sampleToken", () => {
  test("takes the most probable token at temperature 0, the lowest id of equal ones", () => {
    expect(sampleToken(LOGITS, PLAIN, [], () => 0.99)).toBe(3);
    expect(sampleToken(new Float32Array([1, 5, 5]), PLAIN, [], () => 0.99)).toBe(1);
  });

  test("draws each token as often as its probability says", () => {
    const counts = draws(WARM);

    for (const [token, logit] of LOGITS.entries()) {
      // Five standard deviations of a binomial.
      const expected = 400 * Math.exp(logit);
      expect(Math.abs((counts.get(token) ?? 0) - expected)).toBeLessThan(5 * Math.sqrt(expected));
    }
  });

  test("takes the token at the draw's place in the order of ids", () => {
    const at = (random: number) => sampleToken(LOGITS, WARM, [], () => random);

    expect([0, 0.24, 0.26, 0.31, 0.32, 0.37, 0.38, 0.87, 0.88, 0.9999].map(at)).toEqual([
      0, 0, 1, 1, 2, 2, 3, 3, 4, 4,
    ]);
  });

  test.for([
    [{ ...WARM, topK: 2 }, [0, 3]],
    [{ ...WARM, topK: 1 }, [3]],
    [{ ...WARM, topP: 0.74 }, [0, 3]],
    [{ ...WARM, topP: 0.76 }, [0, 3, 4]],
    [{ ...WARM, topP: 0 }, [3]],
    [{ ...WARM, minP: 0.4 }, [0, 3]],
    [{ ...WARM, minP: 1 }, [3]],
    [{ ...WARM, topK: 3, minP: 0.4 }, [0, 3]],
  ] as const)("%o keeps %o", ([settings, kept]) => {
    expect([...draws(settings).keys()].sort()).toEqual(kept);
  });

  test("a high temperature evens the probabilities out, a low one sharpens them", () => {
    const hot = draws({ ...WARM, temperature: 100 });
    const cold = draws({ ...WARM, temperature: 0.05 });

    expect(Math.min(...[0, 1, 2, 3, 4].map((token) => hot.get(token) ?? 0))).toBeGreaterThan(40);
    expect(cold.get(3)).toBe(400);
  });

  test("the penalty divides positive and multiplies negative logits of recent tokens", () => {
    const logits = new Float32Array([2, 1.5, -1, -1.1]);
    const penalty = { ...PLAIN, repetitionPenalty: 2 };

    expect(sampleToken(logits, penalty, [0], () => 0)).toBe(1);
    expect(sampleToken(logits.subarray(2), penalty, [0], () => 0)).toBe(1);
    expect(sampleToken(logits, { ...penalty, repetitionWindow: 2 }, [0, 3, 3], () => 0)).toBe(0);
    expect(sampleToken(logits, { ...penalty, repetitionWindow: 0 }, [0], () => 0)).toBe(0);
    expect([...logits]).toEqual([...new Float32Array([2, 1.5, -1, -1.1])]);
  });

  test("keeps the tokens with the highest logits, best first, the lower id of equal ones", () => {
    const logit = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(-Infinity));
    fc.assert(
      fc.property(
        fc.array(logit, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 45 }),
        (values, topK) => {
          const logits = Float32Array.from(values);
          const sorted = [...logits.keys()].sort(
            // -Infinity less itself is no number.
            (a, b) => (logits[a] === logits[b] ? 0 : logits[b]! - logits[a]!) || a - b,
          );

          const kept = keptTokens(logits, { topK, topP: 1, minP: 0 });

          expect([...kept]).toEqual(sorted.slice(0, topK));
        },
      ),
      { numRuns: runs(100) },
    );
  });

  test("always gives a token, whatever the logits and settings", () => {
    const logit = fc.oneof(fc.float({ noNaN: true }), fc.constant(-Infinity), fc.constant(3e38));
    fc.assert(
      fc.property(
        fc.array(logit, { minLength: 1, maxLength: 30 }),
        fc.record({
          temperature: fc.double({ min: 0, max: 100, noNaN: true }),
          topK: fc.nat(40),
          topP: fc.double({ min: 0, max: 1, noNaN: true }),
          minP: fc.double({ min: 0, max: 1, noNaN: true }),
          repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
          repetitionWindow: fc.nat(10),
        }),
        fc.array(fc.nat(29)),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        (logits, settings, recent, random) => {
          const token = sampleToken(new Float32Array(logits), settings, recent, () => random);
          expect(Number.isInteger(token) && token >= 0 && token < logits.length).toBe(true);
        },
      ),
      { numRuns: runs(100) },
    );
  });
});

describe("logprobsOf", () => {
  test("gives the chosen token's and the best tokens' log-probabilities, best first", () => {
    const shifted = LOGITS.map((logit) => logit + 50);
    const { token, logprob, top } = logprobsOf(shifted, 4, 2);

    expect(token).toBe(4);
    expect(logprob).toBeCloseTo(Math.log(0.125), 4);
    expect(top.map((entry) => entry.token)).toEqual([3, 0]);
    expect(top[0]!.logprob).toBeCloseTo(Math.log(0.5), 4);
    expect(logprobsOf(shifted, 4, 0).top).toEqual([]);
  });
});
