import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ExpertCache } from "../../../src/experts/expert-cache.ts";
import type { ExpertGuess } from "../../../src/experts/predictors/predictor.ts";
import { planPrefetch } from "../../../src/scheduler/prefetch.ts";
import { runs } from "../../helpers/random-cases.ts";
import { cacheOf, checkInvariants, everyPolicy, load, observe, serve } from "../experts/helpers.ts";

const EXPERTS = 8;

function guess(expert: number, probability = 0.5, moe = 0): ExpertGuess {
  return { moe, expert, probability };
}

function plan(
  cache: ExpertCache,
  guesses: readonly ExpertGuess[],
  options: Partial<Parameters<typeof planPrefetch>[0]> = {},
) {
  const pools = Array.from({ length: cache.pools }, (_, pool) => pool);
  return planPrefetch({
    cache,
    pools,
    guesses,
    limitPerPool: 8,
    minProbability: 0.2,
    ...options,
  });
}

describe("planPrefetch", () => {
  test("begins the absent ones in the order of the guesses, over the coldest", () => {
    const cache = cacheOf(EXPERTS, [3]);
    for (const expert of [0, 1, 2]) serve(cache, 0, [expert]);

    expect(plan(cache, [guess(5), guess(2), guess(6)])).toEqual([
      { pool: 0, load: { expert: 5, slot: 0, evicts: 0 } },
      { pool: 0, load: { expert: 6, slot: 1, evicts: 1 } },
    ]);
    expect(cache.state(0, 2)).toBe("ready");
  });

  test("a guess never makes another one leave, not even one that is there", () => {
    const cache = cacheOf(EXPERTS, [2]);
    for (const expert of [0, 1]) serve(cache, 0, [expert]);

    expect(plan(cache, [guess(0), guess(1), guess(5)])).toEqual([]);
  });

  test("leaves improbable guesses and whatever exceeds the limit out", () => {
    const cache = cacheOf(EXPERTS, [8]);

    const begun = plan(cache, [guess(5), guess(6), guess(7, 0.1)], { limitPerPool: 1 });

    expect(begun.map(({ load }) => load.expert)).toEqual([5]);
    expect(plan(cache, [guess(6)], { limitPerPool: 1 })).toEqual([]);
    cache.commit(0, 5);
    expect(plan(cache, [guess(6)], { limitPerPool: 1 })).toHaveLength(1);
  });

  test("layers that share a pool and name the same expert load it once", () => {
    const cache = cacheOf(EXPERTS, [4]);

    const begun = plan(cache, [guess(5, 0.5, 0), guess(5, 0.4, 1)], { pools: [0, 0] });

    expect(begun).toHaveLength(1);
  });
});

const anyGuesses = fc.array(
  fc.record({
    moe: fc.nat(1),
    expert: fc.nat(EXPERTS - 1),
    probability: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { maxLength: 10 },
);

describe.for(everyPolicy)("planPrefetch with $name", ({ create }) => {
  test("never takes what is pinned, loading or guessed, and loads nothing twice", () => {
    fc.assert(
      fc.property(
        fc.record({
          slots: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
          used: fc.array(fc.nat(EXPERTS - 1), { maxLength: 20 }),
          pinned: fc.array(fc.nat(EXPERTS - 1), { maxLength: 2 }),
          loading: fc.array(fc.nat(EXPERTS - 1), { maxLength: 2 }),
          guesses: anyGuesses,
          limitPerPool: fc.integer({ min: 0, max: 4 }),
          minProbability: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        ({ slots, used, pinned, loading, guesses, limitPerPool, minProbability }) => {
          const cache = cacheOf(EXPERTS, slots, create);
          for (const expert of used) for (const pool of [0, 1]) serve(cache, pool, [expert]);
          for (const expert of pinned) cache.pin(0, expert);
          for (const expert of loading) {
            if (cache.state(0, expert) === "absent") cache.beginLoad(0, expert);
          }
          const before = observe(cache);

          const begun = plan(cache, guesses, { pools: [0, 1], limitPerPool, minProbability });

          checkInvariants(cache);
          const worth = guesses.filter(({ probability }) => probability >= minProbability);
          const named = (pool: number, expert: number) =>
            worth.some((guess) => guess.moe === pool && guess.expert === expert);
          const keys = begun.map(({ pool, load }) => `${pool}/${load.expert}`);
          expect(new Set(keys).size).toBe(keys.length);
          for (const { pool, load } of begun) {
            expect(before.pools[pool]!.experts[load.expert]!.state).toBe("absent");
            expect(named(pool, load.expert)).toBe(true);
            expect(cache.state(pool, load.expert)).toBe("loading");
            if (load.evicts === undefined) continue;
            const victim = before.pools[pool]!.experts[load.evicts]!;
            expect([victim.state, victim.pins]).toEqual(["ready", 0]);
            expect(named(pool, load.evicts)).toBe(false);
          }
          for (const pool of [0, 1]) {
            const busy = before.pools[pool]!.loading.length;
            expect(cache.loading(pool).length).toBeLessThanOrEqual(Math.max(busy, limitPerPool));
            for (let expert = 0; expert < EXPERTS; expert++) {
              expect(cache.pins(pool, expert)).toBe(before.pools[pool]!.experts[expert]!.pins);
            }
          }
        },
      ),
      { numRuns: runs(200) },
    );
  });

  test("without a guess worth a load it changes nothing", () => {
    const cache = cacheOf(EXPERTS, [2, 2], create);
    load(cache, 0, [1, 2]);
    const before = observe(cache);

    expect(plan(cache, [guess(3, 0.1), guess(1, 0.9)])).toEqual([]);
    expect(observe(cache)).toEqual(before);
  });
});
