import fc from "fast-check";
import { expect, test } from "vitest";
import {
  copyWords,
  splitBits,
  splitNibbles,
  splitPairs,
  spreadBits,
  viewOf,
} from "../../../src/numeric/bits.ts";
import { runs } from "../../helpers/random-cases.ts";

test("puts nibble i and i + 4 in byte i", () => {
  const bytes = Uint8Array.from([0, 0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8]);
  const words = new Uint8Array(8);

  splitNibbles(viewOf(bytes.subarray(1)), 0, viewOf(words), 0, 4);

  expect([...words]).toEqual([0x51, 0x62, 0x73, 0x84, 0xc8, 0xd9, 0xea, 0xfb]);
});

test("puts the pairs i, i + 4, i + 8 and i + 12 of a run in byte i of its word", () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(bytes, (runs) => {
      const words = new Uint8Array(32);

      splitPairs(viewOf(runs), 0, viewOf(words), 0, 8);

      for (let run = 0; run < 4; run++) {
        for (let i = 0; i < 16; i++) {
          const pair = (words[8 * run + (i % 4)]! >> (2 * Math.floor(i / 4))) & 3;
          expect(pair).toBe((runs[i]! >> (2 * run)) & 3);
        }
      }
    }),
    { numRuns: runs(100) },
  );
});

test("puts the bits i, i + 4, ... i + 28 of a run in byte i of its word", () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(bytes, (runs) => {
      const words = new Uint8Array(32);

      splitBits(viewOf(runs), 0, viewOf(words), 0);

      for (let run = 0; run < 8; run++) {
        for (let i = 0; i < 32; i++) {
          const bit = (words[4 * run + (i % 4)]! >> Math.floor(i / 4)) & 1;
          expect(bit).toBe((runs[i]! >> run) & 1);
        }
      }
    }),
    { numRuns: runs(100) },
  );
});

test("spreads one run's bits as those of eight", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (bits) => {
      const runs = Uint8Array.from({ length: 32 }, (_, i) => (bits >>> i) & 1);
      const words = viewOf(new Uint8Array(32));

      splitBits(viewOf(runs), 0, words, 0);

      expect(spreadBits(bits)).toBe(words.getUint32(0, true));
    }),
    { numRuns: runs(100) },
  );
});

test("copies words and nothing beside them", () => {
  const bytes = Uint8Array.from({ length: 13 }, (_, i) => i);
  const copy = new Uint8Array(11);

  copyWords(viewOf(bytes), 3, viewOf(copy), 1, 8);

  expect([...copy]).toEqual([0, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0]);
});
