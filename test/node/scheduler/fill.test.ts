import { describe, expect, test } from "vitest";
import { nextFill, wantsMost } from "../../../src/scheduler/fill.ts";
import { cacheOf, load } from "../experts/helpers.ts";

describe("nextFill", () => {
  test("fills the first pool from the lowest index, then the next", () => {
    const cache = cacheOf(4, [2, 3]);
    const order: string[] = [];
    for (let next = nextFill(cache); next; next = nextFill(cache)) {
      order.push(`${next.pool}/${next.expert}`);
      load(cache, next.pool, [next.expert]);
    }

    expect(order).toEqual(["0/0", "0/1", "1/0", "1/1", "1/2"]);
  });

  test("takes the expert used most first", () => {
    const cache = cacheOf(6, [3]);
    for (const experts of [[4, 2], [4], [5, 2], [4]]) cache.use(0, experts);

    expect(nextFill(cache)).toEqual({ pool: 0, expert: 4 });
    load(cache, 0, [4]);
    expect(nextFill(cache)).toEqual({ pool: 0, expert: 2 });
  });

  test("passes over what is ready or loading", () => {
    const cache = cacheOf(4, [4]);
    load(cache, 0, [1]);
    cache.beginLoad(0, 0);

    expect(nextFill(cache)).toEqual({ pool: 0, expert: 2 });
  });

  test("never asks for an eviction", () => {
    const cache = cacheOf(4, [1, 0]);
    cache.beginLoad(0, 3);

    expect(nextFill(cache)).toBeUndefined();
  });

  test("has nothing to do when every expert of a pool is in", () => {
    const cache = cacheOf(2, [2, 2]);
    load(cache, 0, [0, 1]);
    load(cache, 1, [1]);

    expect(nextFill(cache)).toEqual({ pool: 1, expert: 0 });
    load(cache, 1, [0]);
    expect(nextFill(cache)).toBeUndefined();
  });
});

describe("wantsMost", () => {
  test.for([
    [1, 32, 4, false],
    [10, 32, 4, false],
    [11, 32, 4, true],
    [32, 128, 8, true],
    [1, 4, 4, true],
  ] as const)("%d tokens of %d experts, top %d: %s", ([tokens, experts, topK, wanted]) => {
    expect(wantsMost(tokens, experts, topK)).toBe(wanted);
  });
});
