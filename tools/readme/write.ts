// Writes the table of what is supported into the README: npm run readme
import { readFile, writeFile } from "node:fs/promises";
import { supportedTable } from "../../src/cli/supported.ts";

/** The lines between which the table stands. */
const START = "<!-- Written by `npm run readme`, kept true by test/node/readme.test.ts. -->\n";
const END = "<!-- The end of the table. -->\n";

/** `readme` with the table as it should be. */
export function withTable(readme: string): string {
  const [before, rest] = readme.split(START);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) {
    throw new Error(`The README has lost the lines around its table: ${START}${END}`);
  }
  return `${before}${START}\n${supportedTable()}\n\n${END}${after}`;
}

/** Called by `npm run readme`. */
export async function main(): Promise<void> {
  const path = new URL("../../README.md", import.meta.url);
  await writeFile(path, withTable(await readFile(path, "utf8")));
}
