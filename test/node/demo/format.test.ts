import { expect, test } from "vitest";
import {
  formatBytes,
  formatCount,
  formatMs,
  formatPercent,
  formatRate,
  nameOfUrl,
  plural,
} from "../../../demo/chat/format.ts";

/** Text with ordinary spaces, as it is easier to write in a test. */
const plain = (text: string) => text.replaceAll("\u00a0", " ");

test.for([
  [0, "0 B"],
  [-5, "0 B"],
  [999, "999 B"],
  [1000, "1.00 kB"],
  [999_499, "999 kB"],
  [999_999, "1.00 MB"],
  [5_240_000, "5.24 MB"],
  [21_840_000, "21.8 MB"],
  [18_600_000_000, "18.6 GB"],
  [2e15, "2000 TB"],
] as const)("%d bytes are written as %s", ([bytes, text]) => {
  expect(plain(formatBytes(bytes))).toBe(text);
});

test.for([
  [0, "0 ms"],
  [840.4, "840 ms"],
  [999.6, "1.00 s"],
  [1234, "1.23 s"],
  [12_345, "12.3 s"],
] as const)("%d milliseconds are written as %s", ([ms, text]) => {
  expect(plain(formatMs(ms))).toBe(text);
});

test("counts, rates and shares are short", () => {
  expect(formatCount(12_345)).toBe("12,345");
  expect(formatRate(9.04)).toBe("9.0");
  expect(formatRate(123.4)).toBe("123");
  expect(plain(formatPercent(49.6))).toBe("50 %");
  expect(plural(1, "token")).toBe("1 token");
  expect(plural(2000, "token")).toBe("2,000 tokens");
});

test.for([
  ["https://example.com/a/Some%20Model.Q4_0.gguf?download=true", "Some Model.Q4_0"],
  ["/models/sluice-tiny-3f2a.GGUF", "sluice-tiny-3f2a"],
  ["bad%zz.gguf", "bad%zz"],
  ["", ""],
] as const)("the model at %s is called %s", ([url, name]) => {
  expect(nameOfUrl(url)).toBe(name);
});
