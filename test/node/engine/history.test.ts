import fc from "fast-check";
import { expect, test } from "vitest";
import { History } from "../../../src/engine/history.ts";

function historyOf(...passes: number[][]): History {
  const history = new History();
  for (const tokens of passes) history.append(tokens);
  return history;
}

test("keeps the passes that a longer prompt begins with", () => {
  expect(historyOf([1, 2, 3], [4], [5]).reuse([1, 2, 3, 4, 5, 6, 7])).toBe(5);
});

test("drops a pass that differs anywhere, and those after it", () => {
  const history = historyOf([1, 2, 3], [4, 5, 6], [7]);

  expect(history.reuse([1, 2, 3, 4, 9, 6, 7, 8])).toBe(3);
  expect(history.length).toBe(3);
});

test("computes the last token again, with the pass that it was in", () => {
  expect(historyOf([1, 2, 3], [4, 5]).reuse([1, 2, 3, 4, 5])).toBe(3);
  expect(historyOf([1, 2, 3], [4]).reuse([1, 2, 3])).toBe(0);
});

test("whatever is reused is a prefix of the prompt made of whole passes, and leaves a token to compute", () => {
  const tokens = fc.array(fc.nat(2), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(tokens, { maxLength: 5 }), tokens, fc.nat(20), (passes, more, cut) => {
      const prompt = [...passes.flat().slice(0, cut), ...more];
      const ends = passes.map((_, index) => passes.slice(0, index + 1).flat().length);

      const reused = historyOf(...passes).reuse(prompt);

      expect([0, ...ends]).toContain(reused);
      expect(reused).toBeLessThan(prompt.length);
      expect(prompt.slice(0, reused)).toEqual(passes.flat().slice(0, reused));
    }),
  );
});
