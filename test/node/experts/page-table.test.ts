import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ABSENT, PageTable } from "../../../src/experts/page-table.ts";
import { runs } from "../../helpers/random-cases.ts";

describe("PageTable", () => {
  test("uploads everything once, all of it absent", () => {
    const table = new PageTable(2, 3);

    expect(table.takeDirty()).toEqual([{ wordOffset: 0, words: new Uint32Array(6).fill(ABSENT) }]);
    expect(table.takeDirty()).toEqual([]);
  });

  test("uploads only what changed, near words together and far words apart", () => {
    const table = new PageTable(2, 100);
    table.takeDirty();

    table.set(0, 3, 1);
    table.set(0, 1, 0);
    table.set(1, 50, 7);

    expect(table.takeDirty()).toEqual([
      { wordOffset: 1, words: new Uint32Array([0, ABSENT, 1]) },
      { wordOffset: 150, words: new Uint32Array([7]) },
    ]);
  });

  test("setting what is there already makes nothing dirty", () => {
    const table = new PageTable(1, 4);
    table.set(0, 2, 5);
    table.takeDirty();

    table.set(0, 2, 5);
    table.set(0, 1, ABSENT);

    expect(table.takeDirty()).toEqual([]);
  });

  test("a copy that applies every range equals the table", () => {
    const change = fc.record({
      pool: fc.nat(2),
      expert: fc.nat(79),
      slot: fc.oneof(fc.nat(9), fc.constant(ABSENT)),
    });
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 8 }), (batches) => {
        const table = new PageTable(3, 80);
        const copy = new Uint32Array(240);

        for (const batch of batches) {
          for (const { pool, expert, slot } of batch) table.set(pool, expert, slot);
          for (const { wordOffset, words } of table.takeDirty()) copy.set(words, wordOffset);
          const words = copy.map((_, word) => table.slot(Math.floor(word / 80), word % 80));
          expect(copy.join()).toBe(words.join());
        }
      }),
      { numRuns: runs(60) },
    );
  });
});
