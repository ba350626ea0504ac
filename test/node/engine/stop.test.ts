import fc from "fast-check";
import { expect, test } from "vitest";
import { StopTexts } from "../../../src/engine/stop.ts";
import { runs } from "../../helpers/random-cases.ts";

/** Streams `pieces`; what was shown, and whether it stopped. */
function stream(stops: readonly string[], pieces: readonly string[]) {
  const matcher = new StopTexts(stops);
  let shown = "";
  for (const piece of pieces) {
    const { text, stopped } = matcher.push(piece);
    shown += text;
    if (stopped) return { shown, stopped: true };
  }
  return { shown: shown + matcher.flush(), stopped: false };
}

test.for([
  [["END"], ["one EN", "D two"], "one ", true],
  [["END"], ["one EN", "TER"], "one ENTER", false],
  [["aab"], ["aa", "ab"], "a", true],
  [["x", "lo w"], ["hel", "lo ", "world"], "hel", true],
  [[], ["a", "b"], "ab", false],
] as const)("%o in %o shows %o", ([stops, pieces, shown, stopped]) => {
  expect(stream(stops, pieces)).toEqual({ shown, stopped });
});

test("holds back no more than may be the beginning of a stop text", () => {
  const matcher = new StopTexts(["\n\nUser:"]);

  expect(matcher.push("Hello.\n").text).toBe("Hello.");
  expect(matcher.push("\nUs").text).toBe("");
  expect(matcher.push("ually").text).toBe("\n\nUsually");
});

test("shows the same however the text is cut into pieces", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 20 });
  const stop = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(
      text,
      fc.array(stop, { maxLength: 3 }),
      fc.array(fc.nat(20)),
      (all, stops, cuts) => {
        const places = [0, ...cuts.map((cut) => Math.min(cut, all.length)), all.length];
        places.sort((a, b) => a - b);
        const pieces = places.slice(1).map((end, index) => all.slice(places[index], end));
        const found = stops.map((one) => all.indexOf(one)).filter((index) => index >= 0);

        const { shown, stopped } = stream(stops, pieces);

        expect(stopped).toBe(found.length > 0);
        if (!stopped) expect(shown).toBe(all);
        else expect(stops.some((one) => all.startsWith(shown + one))).toBe(true);
      },
    ),
    { numRuns: runs(100) },
  );
});
