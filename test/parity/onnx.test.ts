import { readFile } from "node:fs/promises";
import { afterAll } from "vitest";
import { createOnnxEngine } from "../helpers/engine.ts";
import { makeOracleFixture } from "../helpers/oracle-fixtures.ts";
import { testParity } from "../suites/parity.ts";

const engine = createOnnxEngine();
afterAll(() => engine.dispose());

testParity({
  engine,
  oracle: makeOracleFixture,
  open: async ({ path }) => new Blob([await readFile(path)]),
});
