import fc from "fast-check";
import { expect, test } from "vitest";
import { History } from "../../../src/engine/history.ts";
import { runs } from "../../helpers/random-cases.ts";

/** A history of these passes, over caches that can go back to any position unless it is said how far. */
async function historyOf(
  passes: number[][],
  earliestReturn: (writtenTokens: number) => number = () => 0,
): Promise<History> {
  const history = new History(earliestReturn);
  for (const tokens of passes) await history.compute(tokens, async () => {});
  return history;
}

test("keeps the passes that a longer prompt begins with", async () => {
  const history = await historyOf([[1, 2, 3], [4], [5]]);

  expect(history.reuse([1, 2, 3, 4, 5, 6, 7])).toBe(5);
});

test("drops a pass that differs anywhere, and those after it", async () => {
  const history = await historyOf([[1, 2, 3], [4, 5, 6], [7]]);

  expect(history.reuse([1, 2, 3, 4, 9, 6, 7, 8])).toBe(3);
  expect(history.length).toBe(3);
});

test("computes the last token again, with the pass that it was in", async () => {
  expect(
    (
      await historyOf([
        [1, 2, 3],
        [4, 5],
      ])
    ).reuse([1, 2, 3, 4, 5]),
  ).toBe(3);
  expect((await historyOf([[1, 2, 3], [4]])).reuse([1, 2, 3])).toBe(0);
});

test("starts anew where the caches cannot go back so far", async () => {
  const atMostThree = (writtenTokens: number) => writtenTokens - 3;

  expect((await historyOf([[1, 2], [3], [4, 5]], atMostThree)).reuse([1, 2, 9])).toBe(2);
  expect(
    (
      await historyOf(
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
        atMostThree,
      )
    ).reuse([1, 2, 9]),
  ).toBe(0);
});

test("a pass that failed is no part of it, but may have overwritten what is further back", async () => {
  const history = await historyOf([[1, 2], [3]], (writtenTokens) => writtenTokens - 3);
  const failed = history.compute([4, 5, 6], () => Promise.reject(new Error("lost")));

  await expect(failed).rejects.toThrow("lost");
  expect(history.length).toBe(3);
  expect(history.reuse([1, 2, 3, 9])).toBe(3);
  expect(history.reuse([1, 2, 8, 9])).toBe(0);
});

test("what was computed behind its end may have overwritten what is further back", async () => {
  const history = await historyOf([[1, 2], [3]], (writtenTokens) => writtenTokens - 3);
  history.add([4]);
  history.wrote(7);

  expect(history.length).toBe(4);
  expect(history.reuse([1, 2, 3, 4, 9])).toBe(4);
  expect(history.reuse([1, 2, 3, 9])).toBe(0);
});

test("a pass over drafted tokens keeps those that are right, and may have overwritten more", async () => {
  const history = await historyOf([[1, 2]], (writtenTokens) => writtenTokens - 3);
  await history.compute(
    [3, 4, 5, 6],
    async () => 2,
    (right) => right,
  );

  expect(history.length).toBe(4);
  expect(history.reuse([1, 2, 3, 4, 7])).toBe(4);
  expect(history.reuse([1, 2, 8])).toBe(0);
});

test("a state that went back is that after the history's last token", async () => {
  const recurrent = new History((_, stateTokens) => stateTokens);
  await recurrent.compute([1, 2], async () => {});
  await recurrent.compute(
    [3, 4],
    async () => {},
    () => 0,
  );

  expect(recurrent.length).toBe(2);
  recurrent.restored();
  expect(recurrent.reuse([1, 2, 3, 9])).toBe(2);
});

test("a state that was advanced by drafted tokens cannot go back by itself", async () => {
  const recurrent = new History((_, stateTokens) => stateTokens);
  await recurrent.compute([1, 2], async () => {});
  const failed = recurrent.compute([3, 4], () => Promise.reject(new Error("lost")));

  await expect(failed).rejects.toThrow("lost");
  expect(recurrent.reuse([1, 2, 3])).toBe(0);
});

test("what was written before it started anew counts no more", async () => {
  const history = await historyOf(
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    (writtenTokens) => writtenTokens - 3,
  );

  history.reuse([9]);
  await history.compute([9], async () => {});

  expect(history.reuse([9, 8])).toBe(1);
});

test("whatever is reused is a prefix of the prompt made of whole passes, and leaves a token to compute", async () => {
  const tokens = fc.array(fc.nat(2), { minLength: 1, maxLength: 4 });
  const conversation = fc.array(tokens, { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(
      conversation,
      tokens,
      fc.nat(20),
      fc.nat(9),
      async (passes, more, cut, back) => {
        const prompt = [...passes.flat().slice(0, cut), ...more];
        const ends = passes.map((_, index) => passes.slice(0, index + 1).flat().length);

        const history = await historyOf(passes, (writtenTokens) => writtenTokens - back);
        const reused = history.reuse(prompt);

        expect([0, ...ends]).toContain(reused);
        expect(reused).toBeLessThan(prompt.length);
        expect(prompt.slice(0, reused)).toEqual(passes.flat().slice(0, reused));
        if (reused > 0) expect(reused).toBeGreaterThanOrEqual(passes.flat().length - back);
      },
    ),
    { numRuns: runs(100) },
  );
});
