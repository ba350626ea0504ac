import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { xxh32 } from "../../../src/numeric/checksum.ts";
import { runs } from "../../helpers/random-cases.ts";

const encoder = new TextEncoder();

describe("xxh32", () => {
  // From the test vectors of xxHash.
  test.for([
    ["", 0, 0x02cc_5d05],
    ["a", 0, 0x550d_7456],
    ["abc", 0, 0x32d1_53ff],
    ["Nobody inspects the spammish repetition", 0, 0xe229_3b2f],
  ] as const)("of %j with seed %i is the published one", ([text, seed, hash]) => {
    expect(xxh32(encoder.encode(text), seed)).toBe(hash);
  });

  test("does not depend on where the bytes lie in their buffer", () => {
    const bytes = Uint8Array.from({ length: 103 }, (_, index) => index * 7);
    const shifted = new Uint8Array(110);
    for (const offset of [0, 1, 2, 3, 4]) {
      shifted.set(bytes, offset);

      expect(xxh32(shifted.subarray(offset, offset + bytes.length))).toBe(xxh32(bytes));
    }
  });

  test("shows every flipped bit, a lost end, and two words that changed places", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        (bytes, bit, cut, step) => {
          const hash = xxh32(bytes);
          const flipped = bytes.slice();
          flipped[(bit >> 3) % bytes.length]! ^= 1 << (bit & 7);

          expect(xxh32(flipped)).not.toBe(hash);
          expect(xxh32(bytes.subarray(0, cut % bytes.length))).not.toBe(hash);
          const words = new Uint32Array(bytes.slice(0, bytes.length & ~3).buffer);
          const [first, second] = [cut % words.length, step % words.length];
          if (words.length < 2 || words[first] === words[second]) return;
          const before = xxh32(new Uint8Array(words.buffer));
          [words[first], words[second]] = [words[second]!, words[first]!];
          expect(xxh32(new Uint8Array(words.buffer))).not.toBe(before);
        },
      ),
      { numRuns: runs(500) },
    );
  });
});
