import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ExpertCache } from "../../../src/experts/expert-cache.ts";
import { passesOf } from "../../../src/experts/trace.ts";
import { planFault } from "../../../src/scheduler/scheduler.ts";
import { simulate } from "../../../src/scheduler/simulation/simulator.ts";
import { runs } from "../../helpers/random-cases.ts";
import {
  cacheOf,
  checkInvariants,
  everyPolicy,
  inPasses,
  serve,
  traceOf,
} from "../experts/helpers.ts";
import { type Choose, type ExecutedRound, FakeExecutor } from "./fake-executor.ts";

const EXPERTS = 8;

/** A pool that has been in use, and the faults that it meets: their chosen experts `[tokens, topK]`. */
const scenario = fc
  .record({ topK: fc.integer({ min: 1, max: 3 }), spare: fc.nat(4) })
  .chain(({ topK, spare }) => {
    const token = fc.uniqueArray(fc.nat(EXPERTS - 1), { minLength: topK, maxLength: topK });
    return fc.record({
      topK: fc.constant(topK),
      slots: fc.constant(topK + spare),
      history: fc.array(token, { maxLength: 6 }),
      chunks: fc.array(fc.array(token, { minLength: 1, maxLength: 6 }), {
        minLength: 1,
        maxLength: 4,
      }),
    });
  });

/** Choices of the executor, replayed from a list; 0 when it has run out. */
const choices = fc.array(fc.nat(999), { maxLength: 200 }).map((list) => ({ list }));

function chooser({ list }: { list: readonly number[] }): Choose {
  let next = 0;
  return (count) => (list[next++] ?? 0) % count;
}

/** Every pair in exactly one round, and no round between them that has nothing to do. */
function checkRounds(rounds: readonly ExecutedRound[], ids: Uint32Array): void {
  const pairs = rounds.flatMap((round) => round.pairs).sort((a, b) => a - b);
  expect(pairs).toEqual([...ids.keys()]);
  for (const { loads, waits, pairs: computed } of rounds) {
    expect(loads.length + waits.length + computed.length).toBeGreaterThan(0);
  }
}

function checkNothingPinned(cache: ExpertCache): void {
  for (let expert = 0; expert < EXPERTS; expert++) expect(cache.pins(0, expert)).toBe(0);
}

/** What a pool with `history` looks like. */
function poolWith(
  slots: number,
  history: readonly number[][],
  create: Parameters<typeof cacheOf>[2],
): ExpertCache {
  const cache = cacheOf(EXPERTS, [slots], create);
  for (const experts of history) serve(cache, 0, experts);
  return cache;
}

describe.for(everyPolicy)("fault plans with $name", ({ name, create }) => {
  test("alone: the fewest rounds and loads, the most wanted first, nothing computed twice", () => {
    fc.assert(
      fc.property(scenario, ({ topK, slots, history, chunks }) => {
        const cache = poolWith(slots, history, create);
        const executor = new FakeExecutor(cache, 0);
        for (const chunk of chunks) {
          const ids = new Uint32Array(chunk.flat());
          const distinct = [...new Set(ids)];
          const resident = distinct.filter((expert) => cache.state(0, expert) === "ready");
          cache.use(0, ids);

          const rounds = executor.run(planFault({ pool: 0, ids, topK, cache }), ids);

          checkRounds(rounds, ids);
          checkInvariants(cache);
          checkNothingPinned(cache);
          const missing = distinct.length - resident.length;
          expect(rounds).toHaveLength(Number(resident.length > 0) + Math.ceil(missing / slots));
          const wanted = rounds
            .flatMap((round) => round.loads)
            .map(({ expert }) => ids.filter((id) => id === expert).length);
          expect(wanted).toHaveLength(missing);
          expect(wanted).toEqual(wanted.toSorted((a, b) => b - a));
          if (resident.length > 0) {
            expect(rounds[0]!.loads).toEqual([]);
            expect(new Set(rounds[0]!.pairs.map((pair) => ids[pair]))).toEqual(new Set(resident));
          }
        }
      }),
      { numRuns: runs(200) },
    );
  });

  test("beside a filler whose loads land late or fail: every pair exactly once, never from a wrong slot", () => {
    fc.assert(
      fc.property(scenario, choices, ({ topK, slots, history, chunks }, list) => {
        const cache = poolWith(slots, history, create);
        const choose = chooser(list);
        const executor = new FakeExecutor(cache, 0, choose);
        for (const chunk of chunks) {
          for (let fills = choose(5); fills > 0; fills--) executor.beginFill();
          const ids = new Uint32Array(chunk.flat());
          cache.use(0, ids);

          const rounds = executor.run(planFault({ pool: 0, ids, topK, cache }), ids);

          checkRounds(rounds, ids);
          checkInvariants(cache);
          checkNothingPinned(cache);
          expect(cache.loading(0).toSorted()).toEqual(executor.filling.toSorted());
        }
      }),
      { numRuns: runs(300) },
    );
  });

  test("a load that fails ends a plan cleanly, and the next plan computes all", () => {
    fc.assert(
      fc.property(
        scenario,
        choices,
        fc.nat(3),
        ({ topK, slots, history, chunks }, list, failAt) => {
          const cache = poolWith(slots, history, create);
          const choose = chooser(list);
          const executor = new FakeExecutor(cache, 0, choose);
          const ids = new Uint32Array(chunks[0]!.flat());
          for (let fills = choose(5); fills > 0; fills--) executor.beginFill();
          cache.use(0, ids);

          executor.run(planFault({ pool: 0, ids, topK, cache }), ids, failAt);

          checkInvariants(cache);
          checkNothingPinned(cache);
          expect(cache.loading(0).toSorted()).toEqual(executor.filling.toSorted());
          checkRounds(executor.run(planFault({ pool: 0, ids, topK, cache }), ids), ids);
        },
      ),
      { numRuns: runs(200) },
    );
  });

  test("counts what the simulator counts on the same trace", () => {
    const passes = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 5 });
    fc.assert(
      fc.property(scenario, passes, ({ topK, slots, chunks }, tokensOfPasses) => {
        const tokens = chunks.flat();
        const cache = cacheOf(EXPERTS, [slots], create);
        const executor = new FakeExecutor(cache, 0);
        const trace = inPasses(
          traceOf(
            EXPERTS,
            tokens.map((experts) => [experts]),
          ),
          tokensOfPasses,
        );
        for (const { ids } of passesOf(trace)) {
          cache.use(0, ids[0]!);
          executor.run(planFault({ pool: 0, ids: ids[0]!, topK, cache }), ids[0]!);
        }

        const { hits, misses, evictions, loads } = simulate(trace, {
          slotCounts: [slots],
          policy: name,
        });
        const simulated = { hits, misses, evictions, loads: loads.ram + loads.disk + loads.source };
        expect(simulated).toEqual(cache.counters);
      }),
      { numRuns: runs(150) },
    );
  });
});
