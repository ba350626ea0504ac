import fc from "fast-check";
import { expect, test } from "vitest";
import { f16ToF32, f16ToF32Bits, f32ToF16, f32ToF16Up } from "../../../src/numeric/f16.ts";
import { runs } from "../../helpers/random-cases.ts";

const everyPattern = Array.from({ length: 65_536 }, (_, bits) => bits);
const isNan = (bits: number) => (bits & 0x7fff) > 0x7c00;

/** The number by the definition of IEEE 754. */
function definition(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

test("reads every pattern as IEEE 754 defines it", () => {
  const wrong = everyPattern.filter((bits) => !Object.is(f16ToF32(bits), definition(bits)));

  expect(wrong).toEqual([]);
});

test("widens the bits of every pattern as it reads its number", () => {
  const number = new Float32Array(1);
  const bitsOfNumber = new Int32Array(number.buffer);
  const wrong = everyPattern.filter((bits) => {
    bitsOfNumber[0] = f16ToF32Bits(bits);
    return !Object.is(number[0], definition(bits));
  });

  expect(wrong).toEqual([]);
});

test("gives every pattern back, and a quiet NaN for each NaN", () => {
  const wrong = everyPattern.filter((bits) =>
    isNan(bits) ? !isNan(f32ToF16(f16ToF32(bits))) : f32ToF16(f16ToF32(bits)) !== bits,
  );

  expect(wrong).toEqual([]);
});

test("rounds what lies between two neighbours to the nearer, and a tie to the even one", () => {
  const step = new Float32Array(1);
  const stepBits = new Int32Array(step.buffer);
  const besideTie = (tie: number, by: number) => {
    step[0] = tie;
    stepBits[0] = stepBits[0]! + by;
    return step[0]!;
  };
  const wrong = everyPattern
    .filter((bits) => (bits & 0x7fff) < 0x7bff)
    .filter((bits) => {
      const tie = (definition(bits) + definition(bits + 1)) / 2;
      return (
        f32ToF16(tie) !== (bits % 2 === 0 ? bits : bits + 1) ||
        f32ToF16(besideTie(tie, -1)) !== bits ||
        f32ToF16(besideTie(tie, 1)) !== bits + 1
      );
    });

  expect(wrong).toEqual([]);
});

test.for([
  [65_519.996, 0x7bff],
  [65_520, 0x7c00],
  [-1e30, 0xfc00],
  [2 ** -25, 0x0000],
  [2 ** -25 + 2 ** -48, 0x0001],
  [-(2 ** -140), 0x8000],
  [2 ** -14 - 2 ** -26, 0x0400],
])("takes %f to the right bits at the ends of the range", ([value, bits]) => {
  expect(f32ToF16(value!)).toBe(bits);
});

test("rounds up to the smallest half that is not below", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 65_504, noNaN: true }), (value) => {
      const bits = f32ToF16Up(value);

      expect(f16ToF32(bits)).toBeGreaterThanOrEqual(value);
      if (bits > 0) expect(f16ToF32(bits - 1)).toBeLessThan(value);
    }),
    { numRuns: runs(100) },
  );
});
