import fc from "fast-check";
import { expect, test } from "vitest";
import { promptLookup } from "../../../src/speculation/prompt-lookup.ts";
import { runs } from "../../helpers/random-cases.ts";

/** What followed the last place where the longest run of at most three tokens at the text's end stood before. */
function referenceDraft(text: readonly number[], most: number): number[] {
  for (let run = Math.min(3, text.length - 1); run >= 1; run--) {
    const ending = text.slice(-run);
    for (let end = text.length - 1; end >= run; end--) {
      if (!text.slice(end - run, end).every((token, index) => token === ending[index])) continue;
      const copy = [...text];
      for (let at = end; copy.length < text.length + most; at++) copy.push(copy[at]!);
      return copy.slice(text.length);
    }
  }
  return [];
}

function draftOf(text: readonly number[], most: number) {
  const source = promptLookup.create();
  source.push(text);
  return source.draft(most);
}

test("drafts what a search through the whole text finds", () => {
  const text = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 60 });
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: 7 }), (text, most) => {
      expect(draftOf(text, most).tokens).toEqual(referenceDraft(text, most));
    }),
    { numRuns: runs(100) },
  );
});

test("gives the same whether tokens come one by one or many at once", () => {
  const text = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(text, (text) => {
      const source = promptLookup.create();
      for (const token of text) source.push([token]);

      expect(source.draft(5)).toEqual(draftOf(text, 5));
    }),
    { numRuns: runs(100) },
  );
});

test("prefers the latest place, and the longest run", () => {
  expect(draftOf([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], 1).tokens).toEqual([4]);
  expect(draftOf([5, 1, 2, 3, 9, 1, 2, 4, 5, 1, 2], 1).tokens).toEqual([3]);
});

test("goes on with itself where a copy reaches the end", () => {
  expect(draftOf([7, 8, 9, 8, 9], 5).tokens).toEqual([8, 9, 8, 9, 8]);
  expect(draftOf([4, 4], 3).tokens).toEqual([4, 4, 4]);
});

test("drafts nothing without a token that stood before", () => {
  expect(draftOf([], 3).tokens).toEqual([]);
  expect(draftOf([1, 2, 3], 3).tokens).toEqual([]);
  expect(draftOf([1, 1], 0).tokens).toEqual([]);
});

test("tells how many tokens agree, up to eight", () => {
  expect(draftOf([1, 2, 3, 1, 5, 3], 1).evidence).toBe(1);
  expect(draftOf([1, 2, 3, 1, 2, 3], 1).evidence).toBe(3);
  expect(draftOf([9, 1, 2, 3, 4, 8, 1, 2, 3, 4], 1).evidence).toBe(4);
  const long = Array.from({ length: 12 }, (_, index) => index);
  expect(draftOf([...long, ...long], 1).evidence).toBe(8);
});

test("tells runs apart that a hash might not", () => {
  const ids = [0, 1, 2 ** 18, 2 ** 18 + 1, 262_143];
  const text = fc.array(fc.constantFrom(...ids), { maxLength: 40 });
  fc.assert(
    fc.property(text, (text) => {
      expect(draftOf(text, 3).tokens).toEqual(referenceDraft(text, 3));
    }),
    { numRuns: runs(100) },
  );
});

test("takes in 100,000 tokens, and drafts after each of the next, in a moment", () => {
  const text = Array.from(
    { length: 100_000 },
    (_, index) => (index * 7919 + (index % 13)) % 50_000,
  );
  const source = promptLookup.create();
  source.push(text);
  const started = performance.now();
  for (let index = 0; index < 10_000; index++) {
    source.push([text[index]!]);
    source.draft(7);
  }

  // A look through the text for each would take ten thousand times 100,000 steps: minutes.
  expect(performance.now() - started).toBeLessThan(5000);
});
