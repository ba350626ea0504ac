import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { race } from "../../../src/gpu/autotune.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";

/** A race with a clock that measuring moves: each candidate takes what `timesOf` says. */
function run(
  timesOf: Readonly<Record<string, (call: number) => number>>,
  { untilMs = 1e9 }: { untilMs?: number } = {},
) {
  const [standing, ...rivals] = Object.keys(timesOf);
  const calls = new Map<string, number>();
  const order: string[] = [];
  let now = 0;
  const result = race({
    standing: standing!,
    rivals,
    async measure(name) {
      const call = calls.get(name) ?? 0;
      calls.set(name, call + 1);
      order.push(name);
      const took = timesOf[name]!(call);
      now += took;
      return took;
    },
    now: () => now,
    untilMs,
  });
  return result.then((found) => ({ ...found, calls, order, now }));
}

const always = (time: number) => () => time;

describe("a race", () => {
  test("is won by a rival that is clearly faster", async () => {
    const { winner, medians } = await run({
      standing: always(10),
      slow: always(11),
      fast: always(8),
    });

    expect(winner).toBe("fast");
    expect(medians).toEqual({ standing: 10, slow: 11, fast: 8 });
  });

  test("keeps the standing choice when a rival is hardly faster", async () => {
    expect((await run({ standing: always(10), rival: always(9.2) })).winner).toBe("standing");
  });

  test("keeps the standing choice when a rival is faster only now and then", async () => {
    const uneven = (call: number) => (call % 3 === 0 ? 30 : 8);

    expect((await run({ standing: always(10), rival: uneven })).winner).toBe("standing");
  });

  test("does not count the first round", async () => {
    const cold = (call: number) => (call === 0 ? 1000 : 5);

    const { winner, medians } = await run({ standing: always(10), rival: cold });

    expect(winner).toBe("rival");
    expect(medians.rival).toBe(5);
  });

  test("drops a rival without a chance after a round", async () => {
    const { calls } = await run({ standing: always(10), slow: always(40), close: always(9.9) });

    expect(calls.get("slow")).toBe(2);
    expect(calls.get("close")!).toBeGreaterThan(5);
  });

  test("ends when nobody runs against the standing choice", async () => {
    const { calls, rounds } = await run({ standing: always(10), slow: always(40) });

    expect(calls.get("standing")).toBe(2);
    expect(rounds).toBe(1);
  });

  test("takes the first of rivals that are as good as each other", async () => {
    expect((await run({ standing: always(10), a: always(5.1), b: always(5) })).winner).toBe("a");
    expect((await run({ standing: always(10), a: always(5.5), b: always(5) })).winner).toBe("b");
  });

  test("keeps the standing choice when time runs out early, and starts no round after that", async () => {
    const { winner, now } = await run({ standing: always(10), fast: always(1) }, { untilMs: 40 });

    expect(winner).toBe("standing");
    expect(now).toBeLessThanOrEqual(40 + 11);
  });

  test("measures nothing when time is up already", async () => {
    const { winner, order, medians } = await run(
      { standing: always(10), fast: always(1) },
      { untilMs: 0 },
    );

    expect({ winner, order, medians }).toEqual({ winner: "standing", order: [], medians: {} });
  });

  test("takes turns", async () => {
    const { order } = await run({ a: always(10), b: always(10), c: always(10) });

    expect(order.slice(0, 6)).toEqual(["a", "b", "c", "a", "b", "c"]);
  });

  test("of equals is not decided by noise, whatever the seed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const random = createRandom(seed);
        // What a busy machine adds: a tenth now and then, and seldom a multiple.
        const noisy = () => 10 * (1 + 0.1 * random.uniform()) * (random.uniform() < 0.05 ? 3 : 1);

        expect((await run({ standing: noisy, rival: noisy })).winner).toBe("standing");
      }),
      { numRuns: runs(300) },
    );
  });

  test("finds what is twice as fast through the same noise, whatever the seed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const random = createRandom(seed);
        const noisy = (time: number) => () =>
          time * (1 + 0.1 * random.uniform()) * (random.uniform() < 0.05 ? 1.5 : 1);

        expect((await run({ standing: noisy(10), rival: noisy(5) })).winner).toBe("rival");
      }),
      { numRuns: runs(300) },
    );
  });
});
