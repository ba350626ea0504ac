import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { supported } from "../../src/cli/supported.ts";
import { architectures } from "../../src/models/registry.ts";
import { withTable } from "../../tools/readme/write.ts";

const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");

test("README has the table of what is supported; `npm run readme` writes it", () => {
  expect(withTable(readme)).toBe(readme);
});

test("the table is written between its lines, whatever stands there", () => {
  const outdated = readme.replace(/^\| architectures .*$/m, "| architectures | `none` |");

  expect(outdated).not.toBe(readme);
  expect(withTable(outdated)).toBe(readme);
  expect(() => withTable("# Sluice")).toThrow(/has lost the lines/);
});

test("every kind has names", () => {
  for (const [kind, names] of Object.entries(supported())) {
    expect(names.length, kind).toBeGreaterThan(1);
  }
  expect(supported().architectures).toEqual(Object.keys(architectures));
});
