import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  boardBytes,
  type ExpertItem,
  JobBoard,
} from "../../../../src/engine/onnx/experts/board.ts";

const SIZE = { helpers: 2, tokens: 4, pairs: 8, hidden: 4 };

/** Two threads' views of one board. */
function openBoards(): [JobBoard, JobBoard] {
  const memory = new SharedArrayBuffer(boardBytes(SIZE));
  return [new JobBoard(memory, SIZE), new JobBoard(memory, SIZE)];
}

const job = fc.record({
  form: fc.integer({ min: 0, max: 3 }),
  topK: fc.integer({ min: 1, max: 4 }),
  x: fc
    .array(fc.float({ noNaN: true }), { minLength: 4, maxLength: 16 })
    .map((values) => Float32Array.from(values)),
  items: fc.array(
    fc.record({ slot: fc.nat(99), pairs: fc.array(fc.nat(7), { minLength: 1, maxLength: 2 }) }),
    { maxLength: 4 },
  ),
});

/** What a thread does next; one that takes nothing has come too late. */
const turns = fc.array(fc.record({ helper: fc.boolean(), finishes: fc.boolean() }), {
  maxLength: 20,
});

describe("a board", () => {
  test("gives each item to one taker, as it was given, and counts those that are computed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(job, turns), { minLength: 1, maxLength: 5 }), (jobs) => {
        const [own, helper] = openBoards();
        for (const [{ form, topK, x, items }, order] of jobs) {
          // One that takes before there is a job, or after the last one was closed.
          expect(helper.take()).toBeUndefined();
          const wanted = items.map(({ slot, pairs }) => ({ slots: [slot], pairs }));
          own.open({ form, topK, x, items: wanted });
          expect(helper.x.slice(0, x.length)).toEqual(x);
          const taken: ExpertItem[] = [];
          let open = 0;
          for (const turn of order) {
            const board = turn.helper ? helper : own;
            if (turn.finishes && open > 0) {
              board.finished();
              open--;
              continue;
            }
            const item = board.take();
            if (!item) continue;
            taken.push(item);
            open++;
          }
          expect(
            taken.map(({ slots, pairs, ...rest }) => ({
              ...{ slots: [...slots], pairs: [...pairs], ...rest },
            })),
          ).toEqual(wanted.slice(0, taken.length).map((item) => ({ ...item, form, topK })));

          expect(own.close()).toBe(taken.length);
          expect(helper.take()).toBeUndefined();
          expect(own.waitForDone(taken.length, 0)).toBe(open === 0);
          for (; open > 0; open--) helper.finished();
          expect(own.waitForDone(taken.length, 0)).toBe(true);
        }
      }),
    );
  });

  test("shows what any thread leaves there", () => {
    const [own, helper] = openBoards();

    helper.y.set([1, 2, 3, 4], 8);

    expect(own.y.slice(8, 12)).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test("tells a waiting helper of a job and of mail, and knows who is asleep", () => {
    const [own, helper] = openBoards();

    const before = helper.signal;
    expect(helper.waitForSignal(before, 1)).toBe(false);
    own.addMail();
    expect(helper.mail).toBe(1);
    expect(helper.waitForSignal(before, 1)).toBe(true);
    const between = helper.signal;
    own.open({ form: 0, topK: 1, x: new Float32Array(4), items: [] });
    expect(helper.waitForSignal(between, 1)).toBe(true);

    helper.setAsleep(1, true);
    expect([own.isAsleep(0), own.isAsleep(1)]).toEqual([false, true]);
    helper.setAsleep(1, false);
    expect(own.isAsleep(1)).toBe(false);
  });
});
