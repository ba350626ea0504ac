import { readFile } from "node:fs/promises";
import { afterAll, describe } from "vitest";
import { createOnnxEngine } from "../helpers/engine.ts";
import { makeOracleFixture } from "../helpers/oracle-fixtures.ts";
import { type ParityRun, parityFormats, testParity } from "../suites/parity.ts";

const FILES: Pick<ParityRun, "oracle" | "open"> = {
  oracle: makeOracleFixture,
  open: async ({ path }) => new Blob([await readFile(path)]),
};

describe("in WebAssembly, what every token needs in f32", () => {
  const engine = createOnnxEngine();
  afterAll(() => engine.dispose());

  testParity({ engine, ...FILES });
});

describe("in WebAssembly, everything packed as in large models", () => {
  const engine = createOnnxEngine({ expandedBytes: 0 });
  afterAll(() => engine.dispose());

  /** The first model in every format; of the others one format each, in turn. */
  const formatsOf: ParityRun["formatsOf"] = (name, index) => {
    const formats = parityFormats(name, index);
    return index === 0 ? formats : [formats[index % formats.length]!];
  };
  testParity({ engine, ...FILES, formatsOf });
});
