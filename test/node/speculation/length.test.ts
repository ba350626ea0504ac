import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Acceptance } from "../../../src/speculation/acceptance.ts";
import { assumedCosts, MeasuredCosts } from "../../../src/speculation/costs.ts";
import { draftLength } from "../../../src/speculation/length.ts";
import { runs } from "../../helpers/random-cases.ts";

describe("the length of a draft", () => {
  test("is all there is where tokens are nearly always right and passes cost the same", () => {
    expect(draftLength(0.99, 7, { ofPass: () => 1 })).toBe(7);
  });

  test("is 0 where each token of a pass costs as much as one alone", () => {
    expect(draftLength(0.99, 7, { ofPass: (tokens) => tokens })).toBe(0);
  });

  test("is 0 until it is known what passes cost", () => {
    expect(draftLength(1, 7, { ofPass: () => undefined })).toBe(0);
  });

  test("grows with the probability and never passes what was drafted", () => {
    const lengths = [0.1, 0.3, 0.6, 0.9, 0.99].map((p) => draftLength(p, 7, assumedCosts));
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
    expect(lengths[0]).toBe(0);
    expect(lengths.at(-1)).toBe(7);
    expect(draftLength(0.99, 2, assumedCosts)).toBe(2);
    expect(draftLength(0.99, 0, assumedCosts)).toBe(0);
  });

  test("brings more tokens for their time than any other", () => {
    const step = fc.double({ min: 0, max: 0.6, noNaN: true });
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), step, (probability, step) => {
        const ofPass = (tokens: number) => 1 + step * (tokens - 1);
        const speed = (length: number) => {
          let tokens = 1;
          for (let i = 1; i <= length; i++) tokens += probability ** i;
          return tokens / ofPass(1 + length);
        };
        const chosen = draftLength(probability, 7, { ofPass });
        if (chosen > 0) expect(speed(chosen)).toBeGreaterThan(1.05);
        for (let other = 1; other <= 7; other++) {
          expect(speed(other)).toBeLessThanOrEqual(Math.max(speed(chosen), 1.05) + 1e-12);
        }
      }),
      { numRuns: runs(100) },
    );
  });
});

describe("acceptance", () => {
  test("is learnt for each kind of evidence by itself", () => {
    const acceptance = new Acceptance();
    const before = acceptance.probability(1);
    for (let i = 0; i < 20; i++) acceptance.observe({ evidence: 3 }, 4, 4);

    expect(acceptance.probability(3)).toBeGreaterThan(0.95);
    expect(acceptance.probability(1)).toBe(before);
  });

  test("counts no token behind a wrong one", () => {
    const acceptance = new Acceptance();
    for (let i = 0; i < 100; i++) acceptance.observe({ evidence: 2 }, 7, 1);

    // One right, one wrong, five unknown.
    expect(acceptance.probability(2)).toBeCloseTo(0.5, 1);
  });

  test("follows a text that changes", () => {
    const acceptance = new Acceptance();
    for (let i = 0; i < 50; i++) acceptance.observe({ evidence: 5 }, 4, 4);
    for (let i = 0; i < 20; i++) acceptance.observe({ evidence: 5 }, 4, 0);

    expect(acceptance.probability(5)).toBeLessThan(0.5);
  });

  test("stays a probability", () => {
    const drafts = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 7 }), fc.double({ max: 1, min: 0 })),
    );
    fc.assert(
      fc.property(drafts, fc.integer({ min: 0, max: 8 }), (drafts, evidence) => {
        const acceptance = new Acceptance();
        for (const [drafted, share] of drafts) {
          acceptance.observe({ evidence }, drafted, Math.floor(share * drafted) || 0);
        }
        const probability = acceptance.probability(evidence);

        expect(probability).toBeGreaterThan(0);
        expect(probability).toBeLessThan(1);
      }),
      { numRuns: runs(100) },
    );
  });
});

describe("measured costs", () => {
  function measured(aloneMs: number, passes: Readonly<Record<number, number>>): MeasuredCosts {
    const costs = new MeasuredCosts();
    costs.alone(aloneMs);
    costs.pass(8, 1e6);
    for (const [tokens, ms] of Object.entries(passes)) costs.pass(Number(tokens), ms);
    return costs;
  }

  test("are unknown until a token was computed alone", () => {
    expect(new MeasuredCosts().ofPass(3)).toBe(undefined);
  });

  test("are those of one token where no pass was measured, so that one is tried", () => {
    const costs = new MeasuredCosts();
    costs.alone(10);
    expect(costs.ofPass(8)).toBe(1);
  });

  test("leave out the first pass, in which shaders are finished", () => {
    expect(measured(10, { 4: 25 }).ofPass(4)).toBe(2.5);
  });

  test("lie on a line between lengths that were measured", () => {
    const costs = measured(10, { 3: 20, 7: 40 });
    expect([2, 3, 5, 7, 8].map((tokens) => costs.ofPass(tokens))).toEqual([1.5, 2, 3, 4, 4.5]);
  });

  test("forget a pass that was slow once", () => {
    const costs = measured(10, { 8: 1000 });
    expect(draftLength(0.95, 7, costs)).toBe(0);
    for (let i = 0; i < 1000; i++) costs.alone(10);
    expect(draftLength(0.95, 7, costs)).toBeGreaterThan(3);
  });

  test("do not take one wait for the usual cost of a token", () => {
    const costs = measured(10, { 4: 20 });
    costs.alone(10_000);
    expect(costs.ofPass(4)).toBeGreaterThan(1.3);
  });
});

test("where passes cost as much as their tokens, little time goes into trying them", () => {
  const costs = new MeasuredCosts();
  let spent = 0;
  let tokens = 0;
  while (tokens < 5000) {
    const length = draftLength(0.9, 7, costs);
    const found = length === 0 ? 1 : 1 + Math.floor((1 - 0.9 ** length) * 6);
    spent += length === 0 ? 1 : length + 1;
    tokens += found;
    if (length === 0) costs.alone(10);
    else costs.pass(length + 1, 10 * (length + 1));
  }
  expect(spent / tokens).toBeLessThan(1.04);
});
