import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import type { ExpertCache } from "../../../src/experts/expert-cache.ts";
import { ABSENT } from "../../../src/experts/page-table.ts";
import { type FaultPlan, planFault } from "../../../src/scheduler/scheduler.ts";
import { cacheOf, everyPolicy, load, observe, serve } from "../experts/helpers.ts";

/** Plans a fault of pool 0 after its use was recorded. */
function fault(cache: ExpertCache, topK: number, experts: readonly number[]): FaultPlan {
  const ids = new Uint32Array(experts);
  cache.use(0, ids);
  return planFault({ pool: 0, ids, topK, cache });
}

/** Runs a plan with loads that succeed at once; `_` stands for ABSENT. */
function runAll(cache: ExpertCache, plan: FaultPlan) {
  const rounds: { loads: string[]; slots: string }[] = [];
  for (let round = plan.next(); round; round = plan.next()) {
    for (const { expert } of round.loads) cache.commit(0, expert);
    const slots = [...(plan.dispatch() ?? [])];
    rounds.push({
      loads: round.loads.map(({ expert, slot, evicts }) =>
        evicts === undefined ? `${expert}@${slot}` : `${expert}@${slot} for ${evicts}`,
      ),
      slots: slots.map((slot) => (slot === ABSENT ? "_" : slot)).join(" "),
    });
  }
  return rounds;
}

describe.for(everyPolicy)("planFault with $name", ({ create }) => {
  test("computes what is resident while the missing one loads over another's slot", () => {
    const cache = cacheOf(8, [3], create);
    serve(cache, 0, [1]);
    serve(cache, 0, [2]);
    serve(cache, 0, [3]);

    expect(runAll(cache, fault(cache, 2, [1, 7]))).toEqual([
      { loads: [], slots: "0 _" },
      { loads: ["7@1 for 2"], slots: "_ 1" },
    ]);
    expect(cache.counters).toEqual({ hits: 1, misses: 4, loads: 4, evictions: 1 });
  });

  test("with nothing resident all goes in one round", () => {
    const cache = cacheOf(8, [4], create);

    expect(runAll(cache, fault(cache, 2, [5, 1, 1, 6]))).toEqual([
      { loads: ["1@0", "5@1", "6@2"], slots: "1 0 0 2" },
    ]);
  });

  test("a chunk that wants more than there are slots takes rounds, the most wanted first", () => {
    const cache = cacheOf(8, [2], create);
    serve(cache, 0, [4, 0]);

    // wanted: 3 three times, 4 and 5 twice, 1 once
    expect(runAll(cache, fault(cache, 2, [3, 4, 3, 5, 3, 1, 4, 5]))).toEqual([
      { loads: [], slots: "_ 0 _ _ _ _ 0 _" },
      { loads: ["3@1 for 0", "5@0 for 4"], slots: "1 _ 1 0 1 _ _ 0" },
      { loads: ["1@1 for 3"], slots: "_ _ _ _ _ 1 _ _" },
    ]);
  });

  test("takes other slots before those of experts of the same pass", () => {
    const cache = cacheOf(8, [3], create);
    serve(cache, 0, [1, 2]);
    load(cache, 0, [6]);
    for (const _ of [1, 2, 3, 4]) cache.use(0, [6]); // in the eyes of LFU the best of all

    expect(runAll(cache, fault(cache, 2, [2, 3]))).toEqual([
      { loads: [], slots: "1 _" },
      { loads: ["3@0 for 1"], slots: "_ 0" },
    ]);
    expect(runAll(cache, fault(cache, 2, [2, 7, 3, 7])).at(-1)?.loads).toEqual(["7@2 for 6"]);
  });

  test("waits for an expert that the filler is loading instead of loading it again", () => {
    const cache = cacheOf(8, [3], create);
    load(cache, 0, [1]);
    cache.beginLoad(0, 2);

    const plan = fault(cache, 2, [2, 5]);

    expect(plan.next()).toEqual({ loads: [{ expert: 5, slot: 2 }], waits: [2] });
    cache.commit(0, 2);
    cache.commit(0, 5);
    expect(plan.dispatch()).toEqual(new Uint32Array([1, 2]));
    expect(plan.next()).toBeUndefined();
  });

  test("an expert that landed meanwhile is computed at once", () => {
    const cache = cacheOf(8, [2], create);
    load(cache, 0, [1]);
    cache.beginLoad(0, 2);

    const plan = fault(cache, 2, [1, 2]);

    expect(plan.next()).toEqual({ loads: [], waits: [] });
    expect(plan.dispatch()).toEqual(new Uint32Array([0, ABSENT]));
    cache.commit(0, 2);
    expect(plan.next()).toEqual({ loads: [], waits: [] });
    expect(plan.dispatch()).toEqual(new Uint32Array([ABSENT, 1]));
    expect(plan.next()).toBeUndefined();
  });

  test("loads an expert itself when the filler failed to", () => {
    const cache = cacheOf(8, [2], create);
    cache.beginLoad(0, 2);

    const plan = fault(cache, 1, [2]);

    expect(plan.next()).toEqual({ loads: [], waits: [2] });
    cache.abort(0, 2);
    expect(plan.dispatch()).toBeUndefined();
    expect(plan.next()).toEqual({ loads: [{ expert: 2, slot: 0 }], waits: [] });
    cache.commit(0, 2);
    expect(plan.dispatch()).toEqual(new Uint32Array([0]));
  });

  test("waits for room when the filler is loading into every slot", () => {
    const cache = cacheOf(8, [2], create);
    cache.beginLoad(0, 3);
    cache.beginLoad(0, 4);

    const plan = fault(cache, 1, [6]);

    expect(plan.next()).toEqual({ loads: [], waits: [3] });
    cache.commit(0, 3);
    expect(plan.dispatch()).toBeUndefined();
    expect(plan.next()).toEqual({ loads: [{ expert: 6, slot: 0, evicts: 3 }], waits: [] });
  });

  test("holds all experts until it is closed: it waits for others' slots before it takes its own", () => {
    const cache = cacheOf(8, [2], create);
    load(cache, 0, [1]);
    cache.beginLoad(0, 5); // by the filler: the only other slot
    const ids = new Uint32Array([1, 2]);

    const plan = planFault({ pool: 0, ids, topK: 2, cache, holds: true });

    expect(plan.next()).toEqual({ loads: [], waits: [] });
    expect(plan.dispatch()).toEqual(new Uint32Array([0, ABSENT]));
    expect(plan.next()).toEqual({ loads: [], waits: [5] });
    cache.commit(0, 5);
    expect(plan.dispatch()).toBeUndefined();
    expect(plan.next()).toEqual({ loads: [{ expert: 2, slot: 1, evicts: 5 }], waits: [] });
    cache.commit(0, 2);
    expect(plan.dispatch()).toEqual(new Uint32Array([ABSENT, 1]));
    expect(plan.next()).toBeUndefined();
    // All rounds are over, and what sums them is not submitted yet.
    expect(cache.beginLoad(0, 6)).toBeUndefined();
    plan.close();
    expect(cache.beginLoad(0, 6)).toBeDefined();
  });

  test("a load that failed is tried again in a later round if the plan goes on", () => {
    const cache = cacheOf(8, [2], create);
    const plan = fault(cache, 2, [1, 2]);
    plan.next();
    cache.commit(0, 1);
    cache.abort(0, 2);

    expect(plan.dispatch()).toEqual(new Uint32Array([0, ABSENT]));
    expect(plan.next()).toEqual({ loads: [{ expert: 2, slot: 1 }], waits: [] });
  });

  test("an abandoned plan leaves nothing pinned, and can be planned again", () => {
    const cache = cacheOf(8, [2], create);
    serve(cache, 0, [1, 2]);
    const plan = fault(cache, 2, [1, 3]);
    plan.next();
    plan.dispatch();
    plan.next();
    cache.abort(0, 3);

    plan.close();
    plan.close();

    expect([1, 2, 3].map((expert) => cache.pins(0, expert))).toEqual([0, 0, 0]);
    const again = planFault({ pool: 0, ids: new Uint32Array([1, 3]), topK: 2, cache });
    expect(runAll(cache, again)).toEqual([
      { loads: [], slots: "0 _" },
      { loads: ["3@1"], slots: "_ 1" },
    ]);
  });

  test("keeps a copy of the ids", () => {
    const cache = cacheOf(4, [2], create);
    const ids = new Uint32Array([1, 2]);
    const plan = planFault({ pool: 0, ids, topK: 2, cache });

    ids.fill(3);

    expect(runAll(cache, plan)).toEqual([{ loads: ["1@0", "2@1"], slots: "0 1" }]);
  });

  test("refuses a pool that is too small for one token, and pins nothing", () => {
    const cache = cacheOf(8, [2], create);
    load(cache, 0, [1, 2]);
    const before = observe(cache);
    const plan = () => planFault({ pool: 0, ids: new Uint32Array([1, 2, 3]), topK: 3, cache });

    expect(plan).toThrow(SluiceError);
    expect(plan).toThrow(
      "Pool 0 has 2 expert slots but a token uses 3 experts: " +
        "raise the GPU budget to at least 3 of 8 experts a layer.",
    );
    expect(observe(cache)).toEqual(before);
  });

  test("a round that is skipped or dispatched twice is a bug", () => {
    const cache = cacheOf(8, [2], create);
    const plan = fault(cache, 1, [1]);

    expect(() => plan.dispatch()).toThrow("dispatch() before next()");
    plan.next();
    expect(() => plan.next()).toThrow("next() before dispatch()");
  });
});
