import { expect, test } from "vitest";
import { bf16ToF32, f32ToBf16 } from "../../../src/numeric/bf16.ts";

const everyPattern = Array.from({ length: 65_536 }, (_, bits) => bits);
const isNan = (bits: number) => (bits & 0x7fff) > 0x7f80;

test("gives every pattern back, and a NaN for each NaN", () => {
  const wrong = everyPattern.filter((bits) =>
    isNan(bits) ? !isNan(f32ToBf16(bf16ToF32(bits))) : f32ToBf16(bf16ToF32(bits)) !== bits,
  );

  expect(wrong).toEqual([]);
});

test.for([
  [1, 0x3f80],
  [-2, 0xc000],
  [1 + 2 ** -8, 0x3f80],
  [1 + 3 * 2 ** -8, 0x3f82],
  [1 + 2 ** -8 + 2 ** -20, 0x3f81],
  [3.4e38, 0x7f80],
  [-Infinity, 0xff80],
])("takes %f to the nearest, a tie to the even one", ([value, bits]) => {
  expect(f32ToBf16(value!)).toBe(bits);
});
