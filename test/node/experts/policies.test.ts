import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { belady } from "../../../src/experts/policies/belady.ts";
import { costAware } from "../../../src/experts/policies/cost-aware.ts";
import { lfuDecayed } from "../../../src/experts/policies/lfu-decayed.ts";
import { lru } from "../../../src/experts/policies/lru.ts";
import { pinned } from "../../../src/experts/policies/pinned.ts";
import {
  DEFAULT_EVICTION_POLICY,
  evictionPolicies,
} from "../../../src/experts/policies/registry.ts";
import { runs } from "../../helpers/random-cases.ts";
import { cacheOf, everyPolicy, serve } from "./helpers.ts";

const request = fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 4 });

/** The candidates in the order in which a policy would evict them. */
function evictionOrder(policy: ReturnType<typeof lru>, candidates: readonly number[]): number[] {
  const left = [...candidates].sort((a, b) => a - b);
  const order: number[] = [];
  while (left.length > 0) {
    const victim = policy.victim(left);
    order.push(victim);
    left.splice(left.indexOf(victim), 1);
  }
  return order;
}

describe.for(everyPolicy)("$name", ({ create }) => {
  test("evicts experts that were never used first, the lowest index before the others", () => {
    const policy = create({ experts: 8 });
    policy.onUse([1]);

    expect(evictionOrder(policy, [0, 1, 2, 3])).toEqual([0, 2, 3, 1]);
  });

  test("evicts the one used longest ago when all were used equally often in one pass", () => {
    const policy = create({ experts: 8 });
    policy.onUse([3, 1, 2]);

    expect(evictionOrder(policy, [1, 2, 3])).toEqual([3, 1, 2]);
  });

  test("chooses a candidate, the same one each time it is asked", () => {
    fc.assert(
      fc.property(fc.array(request), request, (requests, candidates) => {
        const policy = create({ experts: 8 });
        for (const experts of requests) policy.onUse(experts);
        candidates.sort((a, b) => a - b);

        const victim = policy.victim(candidates);

        expect(candidates).toContain(victim);
        expect(policy.victim(candidates)).toBe(victim);
      }),
      { numRuns: runs(100) },
    );
  });

  test("orders experts without regard to what else is a candidate", () => {
    fc.assert(
      fc.property(fc.array(request), request, (requests, some) => {
        const policy = create({ experts: 8 });
        for (const experts of requests) policy.onUse(experts);

        const all = evictionOrder(policy, [0, 1, 2, 3, 4, 5, 6, 7]);

        expect(evictionOrder(policy, some)).toEqual(all.filter((expert) => some.includes(expert)));
      }),
      { numRuns: runs(100) },
    );
  });
});

describe.for(everyPolicy)("$name has the stack property", ({ create }) => {
  test("what is resident with fewer slots is resident with more", () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 40 }),
        fc.integer({ min: 4, max: 7 }),
        (requests, slots) => {
          const fewer = cacheOf(8, [slots], create);
          const more = cacheOf(8, [slots + 1], create);
          for (const experts of requests) {
            serve(fewer, 0, experts);
            serve(more, 0, experts);

            expect(more.ready(0)).toEqual(expect.arrayContaining(fewer.ready(0)));
          }
        },
      ),
      { numRuns: runs(100) },
    );
  });
});

test("the default policy is in the registry", () => {
  expect(Object.keys(evictionPolicies)).toContain(DEFAULT_EVICTION_POLICY);
});

describe("lru", () => {
  test("evicts the expert used longest ago, however often it was used", () => {
    const policy = lru({ experts: 8 });
    for (const expert of [1, 1, 1, 2, 3, 2]) policy.onUse([expert]);

    expect(evictionOrder(policy, [1, 2, 3])).toEqual([1, 3, 2]);
  });
});

describe("lfuDecayed", () => {
  test("evicts the expert used least often among recent ones", () => {
    const policy = lfuDecayed({ experts: 8 }, 32);
    for (const expert of [1, 1, 1, 2, 3, 2]) policy.onUse([expert]);

    expect(evictionOrder(policy, [1, 2, 3])).toEqual([3, 2, 1]);
  });

  test("two uses one half-life ago weigh as much as one use now", () => {
    const half = lfuDecayed({ experts: 8 }, 4);
    half.onUse([1, 2]);
    half.onUse([1]); // expert 1 at request 5: 2^(-4/4) + 2^(-3/4) = 1.095
    for (const expert of [0, 0, 3]) half.onUse([expert]); // expert 3: 1

    expect(evictionOrder(half, [1, 2, 3])).toEqual([2, 3, 1]);
    half.onUse([3]); // expert 3: 2^(-1/4) + 1 = 1.84, expert 1: 0.92
    expect(evictionOrder(half, [1, 2, 3])).toEqual([2, 1, 3]);
  });

  test("keeps the score of an expert after thousands of requests", () => {
    const policy = lfuDecayed({ experts: 8 }, 1);
    for (let request = 0; request < 5000; request++) policy.onUse([0]);
    policy.onUse([1]);
    policy.onUse([2]);

    expect(evictionOrder(policy, [0, 1, 2])).toEqual([0, 1, 2]);
  });

  test("agrees with the sum that it stands for", () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 40 }),
        fc.integer({ min: 2, max: 9 }),
        (requests, halfLife) => {
          const policy = lfuDecayed({ experts: 8 }, halfLife);
          for (const experts of requests) policy.onUse(experts);
          const score = (expert: number) =>
            requests.reduce(
              (sum, experts, index) =>
                sum + (experts.includes(expert) ? 2 ** ((index - requests.length) / halfLife) : 0),
              0,
            );

          const victim = policy.victim([0, 1, 2, 3, 4, 5, 6, 7]);

          for (let other = 0; other < 8; other++) {
            expect(score(victim)).toBeLessThanOrEqual(score(other) * (1 + 1e-9));
          }
        },
      ),
      { numRuns: runs(100) },
    );
  });

  test("with an endless half-life counts uses, ties to the one used longest ago", () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
        const policy = lfuDecayed({ experts: 8 }, Infinity);
        for (const experts of requests) policy.onUse(experts);
        const uses = requests.flat();
        const rank = (expert: number) => ({
          count: uses.filter((used) => used === expert).length,
          last: uses.lastIndexOf(expert),
        });
        const all = [0, 1, 2, 3, 4, 5, 6, 7];
        const expected = all.toSorted(
          (a, b) => rank(a).count - rank(b).count || rank(a).last - rank(b).last || a - b,
        );

        expect(evictionOrder(policy, all)).toEqual(expected);
      }),
      { numRuns: runs(100) },
    );
  });
});

describe("costAware", () => {
  test("evicts by uses alone when all cost the same to reload", () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 40 }), fc.nat(2), (requests, cost) => {
        const byCost = costAware({ experts: 8, reloadCost: () => cost });
        const byUse = lfuDecayed({ experts: 8 });
        for (const experts of requests) {
          byCost.onUse(experts);
          byUse.onUse(experts);
        }

        const all = [0, 1, 2, 3, 4, 5, 6, 7];
        expect(evictionOrder(byCost, all)).toEqual(evictionOrder(byUse, all));
      }),
      { numRuns: runs(100) },
    );
  });

  test("an expert of twice the cost stays for half the uses and no longer", () => {
    const costs = [0, 2.1, 1, 1.9];
    const policy = costAware({ experts: 4, reloadCost: (expert) => costs[expert]! }, Infinity);
    for (const expert of [1, 2, 2, 3]) policy.onUse([expert]);

    // Expected costs of a return: 2.1, 2, 1.9.
    expect(evictionOrder(policy, [1, 2, 3])).toEqual([3, 2, 1]);
  });

  test("what comes back for nothing leaves before what was used less", () => {
    const policy = costAware({ experts: 3, reloadCost: (expert) => (expert === 1 ? 0 : 1) });
    for (const expert of [1, 1, 1, 2]) policy.onUse([expert]);

    expect(evictionOrder(policy, [1, 2])).toEqual([1, 2]);
  });

  test("asks for the cost when it chooses: a record that went down a tier stays", () => {
    let cost = 1;
    const policy = costAware({ experts: 3, reloadCost: (expert) => (expert === 1 ? cost : 1) });
    for (const expert of [1, 2]) policy.onUse([expert]);

    expect(policy.victim([1, 2])).toBe(1);
    cost = 10;
    expect(policy.victim([1, 2])).toBe(2);
  });
});

describe("pinned", () => {
  test("keeps the most used up to its share, and evicts the rest by LRU", () => {
    const policy = pinned({ experts: 8 }, 2 / 8);
    for (const expert of [1, 1, 1, 2, 2, 3, 4, 5]) policy.onUse([expert]);

    expect(evictionOrder(policy, [1, 2, 3, 4, 5])).toEqual([3, 4, 5, 2, 1]);
  });

  test("lets go of one that another overtakes", () => {
    const policy = pinned({ experts: 8 }, 1 / 8);
    for (const expert of [1, 1, 2, 2, 2, 3]) policy.onUse([expert]);

    expect(evictionOrder(policy, [1, 2, 3])).toEqual([1, 3, 2]);
  });

  test("keeps exactly those that a count of all uses would", () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), fc.nat(8), (requests, most) => {
        const policy = pinned({ experts: 8 }, most / 8);
        for (const experts of requests) policy.onUse(experts);
        const uses = requests.flat();
        const last = (expert: number) => uses.lastIndexOf(expert);
        const count = (expert: number) => uses.filter((used) => used === expert).length;
        const byUses = (a: number, b: number) => count(a) - count(b) || last(a) - last(b) || a - b;
        const all = [0, 1, 2, 3, 4, 5, 6, 7];
        const kept = all
          .filter((expert) => count(expert) > 0)
          .sort(byUses)
          .slice(-most || all.length);
        const others = all.filter((expert) => !kept.includes(expert));

        expect(evictionOrder(policy, all)).toEqual([
          ...others.sort((a, b) => last(a) - last(b) || a - b),
          ...kept,
        ]);
      }),
      { numRuns: runs(200) },
    );
  });
});

describe("half-lives", () => {
  test("are counted in passes where one policy serves the requests of many layers", () => {
    const one = lfuDecayed({ experts: 4 }, 2);
    const three = lfuDecayed({ experts: 4, requestsPerPass: 3 }, 2);
    for (const expert of [1, 1, 2, 2, 3]) {
      one.onUse([expert]);
      for (const used of [[expert], [0], [0]]) three.onUse(used);
    }

    expect(evictionOrder(three, [1, 2, 3])).toEqual(evictionOrder(one, [1, 2, 3]));
  });
});

describe("belady", () => {
  test("evicts what is used again last, and what is never used again before that", () => {
    const policy = belady([[1, 2, 3, 4], [2], [3], [1]]);
    policy.onUse([1, 2, 3, 4]);

    expect(evictionOrder(policy, [1, 2, 3, 4])).toEqual([4, 1, 3, 2]);
  });

  test("looks only ahead of the request that is being served", () => {
    const policy = belady([[1], [2], [1], [2], [3]]);
    for (const experts of [[1], [2], [1]]) policy.onUse(experts);

    expect(evictionOrder(policy, [1, 2])).toEqual([1, 2]);
  });
});
