import { expect, test } from "vitest";
import { splitNibbles, viewOf } from "../../../src/numeric/bits.ts";

test("puts nibble i and i + 4 in byte i", () => {
  const bytes = Uint8Array.from([0, 0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8]);
  const words = new Uint8Array(8);

  splitNibbles(viewOf(bytes.subarray(1)), 0, viewOf(words), 0, 4);

  expect([...words]).toEqual([0x51, 0x62, 0x73, 0x84, 0xc8, 0xd9, 0xea, 0xfb]);
});
