import { describe, expect, test } from "vitest";
import { ABSENT } from "../../../src/experts/page-table.ts";
import { cacheOf, checkInvariants, everyPolicy, load, observe, serve } from "./helpers.ts";

describe.for(everyPolicy)("ExpertCache with $name", ({ create }) => {
  test("fills empty slots from the lowest, each pool on its own", () => {
    const cache = cacheOf(8, [2, 3], create);

    expect(load(cache, 0, [5, 1])).toEqual([
      { expert: 5, slot: 0 },
      { expert: 1, slot: 1 },
    ]);
    expect(load(cache, 1, [5])).toEqual([{ expert: 5, slot: 0 }]);
    expect([cache.slotOf(0, 5), cache.slotOf(0, 1), cache.slotOf(1, 5)]).toEqual([0, 1, 0]);
    expect([cache.emptySlots(0), cache.emptySlots(1)]).toEqual([0, 2]);
  });

  test("an expert has a slot and a page table entry only once its load is committed", () => {
    const cache = cacheOf(4, [2], create);
    cache.beginLoad(0, 3);

    expect([cache.state(0, 3), cache.slotOf(0, 3), cache.pageTable.slot(0, 3)]).toEqual([
      "loading",
      undefined,
      ABSENT,
    ]);
    cache.commit(0, 3);
    expect([cache.state(0, 3), cache.slotOf(0, 3), cache.pageTable.slot(0, 3)]).toEqual([
      "ready",
      0,
      0,
    ]);
  });

  test("a load evicts into the victim's slot, and the victim is absent at once", () => {
    const cache = cacheOf(8, [2], create);
    serve(cache, 0, [1]);
    serve(cache, 0, [2]);
    cache.use(0, [2]);

    expect(cache.beginLoad(0, 7)).toEqual({ expert: 7, slot: 0, evicts: 1 });
    expect([cache.state(0, 1), cache.pageTable.slot(0, 1)]).toEqual(["absent", ABSENT]);
    expect(cache.counters).toEqual({ hits: 1, misses: 2, loads: 2, evictions: 1 });
  });

  test("a failed load leaves the expert absent and its slot empty", () => {
    const cache = cacheOf(8, [2], create);
    load(cache, 0, [1, 2]);
    cache.beginLoad(0, 3); // evicts 1

    cache.abort(0, 3);

    expect([cache.state(0, 3), cache.state(0, 1)]).toEqual(["absent", "absent"]);
    expect(cache.emptySlots(0)).toBe(1);
    expect(cache.beginLoad(0, 1)).toEqual({ expert: 1, slot: 0 });
  });

  test("refuses, and changes nothing, when every slot is pinned or loading", () => {
    const cache = cacheOf(8, [3], create);
    load(cache, 0, [1, 2]);
    cache.pin(0, 1);
    cache.pin(0, 2);
    cache.beginLoad(0, 3);
    const before = observe(cache);

    expect(cache.beginLoad(0, 4)).toBeUndefined();
    expect(observe(cache)).toEqual(before);
  });

  test("an expert can be evicted once it is released as often as it was pinned", () => {
    const cache = cacheOf(8, [1], create);
    load(cache, 0, [1]);
    cache.pin(0, 1);
    cache.pin(0, 1);

    cache.release(0, 1);
    expect(cache.beginLoad(0, 2)).toBeUndefined();
    cache.release(0, 1);
    expect(cache.beginLoad(0, 2)).toEqual({ expert: 2, slot: 0, evicts: 1 });
  });

  test("a pin outlives a load that fails", () => {
    const cache = cacheOf(8, [1], create);
    cache.pin(0, 1);
    cache.beginLoad(0, 1);
    cache.abort(0, 1);
    load(cache, 0, [1]);

    expect(cache.beginLoad(0, 2)).toBeUndefined();
  });

  test("each distinct expert of a pass counts once, a loading one as a miss", () => {
    const cache = cacheOf(8, [3], create);
    load(cache, 0, [1, 2]);
    cache.beginLoad(0, 3);

    cache.use(0, new Uint32Array([1, 3, 1, 4, 2, 1]));

    expect(cache.counters).toEqual({ hits: 2, misses: 2, loads: 2, evictions: 0 });
    expect([0, 1, 2, 3, 4].map((expert) => cache.uses(0, expert))).toEqual([0, 1, 1, 1, 1]);
  });

  test("takes the last of an expert's uses in a pass for its recency", () => {
    const cache = cacheOf(8, [2], create);
    load(cache, 0, [1, 2]);

    cache.use(0, [1, 2, 1]);

    expect(cache.beginLoad(0, 3)).toEqual({ expert: 3, slot: 1, evicts: 2 });
  });

  test("use counts saturate", () => {
    const cache = cacheOf(2, [2], create);
    for (let pass = 0; pass < 65_537; pass++) cache.use(0, [1]);

    expect(cache.uses(0, 1)).toBe(65_535);
  });

  test("the snapshot is a copy: states as numbers, and uses", () => {
    const cache = cacheOf(3, [2, 2], create);
    load(cache, 1, [2]);
    cache.beginLoad(0, 1);
    cache.use(1, [0, 2]);

    const snapshot = cache.snapshot();
    cache.commit(0, 1);

    expect([...snapshot.state]).toEqual([0, 1, 0, 0, 0, 2]);
    expect([...snapshot.uses]).toEqual([0, 0, 0, 1, 0, 1]);
  });

  test("calls that make no sense throw and change nothing", () => {
    const cache = cacheOf(4, [2], create);
    load(cache, 0, [1]);
    cache.beginLoad(0, 2);
    const before = observe(cache);

    expect(() => cache.beginLoad(0, 1)).toThrow("expert 1 of pool 0 is ready, not absent");
    expect(() => cache.beginLoad(0, 2)).toThrow("expert 2 of pool 0 is loading, not absent");
    expect(() => cache.commit(0, 1)).toThrow("is ready, not loading");
    expect(() => cache.abort(0, 3)).toThrow("is absent, not loading");
    expect(() => cache.release(0, 1)).toThrow("is not pinned");
    expect(() => cache.use(0, [1, 4])).toThrow("expert 4 of pool 0 of 4 experts");
    expect(() => cache.state(1, 0)).toThrow("pool 1 of 1");
    expect(() => cache.resize([5])).toThrow("5 slots for 4 experts");
    expect(() => cache.resize([2, 2])).toThrow("2 slot counts for 1 pools");
    expect(observe(cache)).toEqual(before);
  });

  test("more slots keep every expert where it is", () => {
    const cache = cacheOf(8, [2, 1], create);
    load(cache, 0, [5, 6]);
    load(cache, 1, [7]);

    expect(cache.resize([4, 1])).toEqual({ moves: [], dropped: [], kept: 3 });
    expect([cache.slotOf(0, 5), cache.slotOf(0, 6), cache.slotOf(1, 7)]).toEqual([0, 1, 0]);
    expect(load(cache, 0, [1])).toEqual([{ expert: 1, slot: 2 }]);
  });

  test("fewer slots drop the policy's victims and move the others down", () => {
    const cache = cacheOf(8, [4], create);
    serve(cache, 0, [1, 2, 3, 4]);
    for (const expert of [2, 4, 2, 4, 1]) cache.use(0, [expert]); // 3, then 1, are worst in any policy's eyes

    expect(cache.resize([3])).toEqual({
      dropped: [{ pool: 0, expert: 3, slot: 2 }],
      moves: [{ pool: 0, expert: 4, fromSlot: 3, toSlot: 2 }],
      kept: 3,
    });
    expect([1, 2, 4].map((expert) => cache.slotOf(0, expert))).toEqual([0, 1, 2]);
    expect(cache.slotOf(0, 3)).toBeUndefined();
    checkInvariants(cache);
  });

  test("refuses to end a slot that is loading or pinned, and changes nothing", () => {
    const cache = cacheOf(8, [3, 3], create);
    load(cache, 0, [1, 2, 3]);
    load(cache, 1, [4]);
    cache.pin(0, 3);
    const pinned = observe(cache);

    expect(cache.resize([2, 0])).toBeUndefined();
    expect(observe(cache)).toEqual(pinned);

    cache.release(0, 3);
    cache.beginLoad(1, 5);
    const loading = observe(cache);
    expect(cache.resize([2, 1])).toBeUndefined();
    expect(observe(cache)).toEqual(loading);
    expect(cache.resize([2, 2])).toMatchObject({ kept: 3 });
  });

  test("keeps what is loading or pinned in the slots that stay", () => {
    const cache = cacheOf(8, [4], create);
    load(cache, 0, [1]);
    cache.beginLoad(0, 2);
    load(cache, 0, [3, 4]);
    cache.pin(0, 1);

    const plan = cache.resize([2]);

    expect(plan?.dropped.map(({ expert }) => expert)).toEqual([3, 4]);
    expect(plan?.moves).toEqual([]);
    cache.commit(0, 2);
    expect([cache.slotOf(0, 1), cache.slotOf(0, 2)]).toEqual([0, 1]);
  });
});
