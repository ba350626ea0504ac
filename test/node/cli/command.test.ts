import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ModelReport } from "../../../src/cli/report.ts";
import { supported } from "../../../src/cli/supported.ts";
import { serveFile } from "../../helpers/file-server.ts";
import { partNames, splitGguf } from "../../helpers/gguf-layouts.ts";
import { g, writeGguf } from "../../helpers/gguf-writer.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";
import { callSluice, runSluice, temporaryFile } from "./run-sluice.ts";

const MODEL = tinyModel({ architecture: "smallthinker" });
const PROMPT = ["--tokens", "1,2"];

describe("inspect", () => {
  test("prints one JSON object", async () => {
    const path = await temporaryFile("model.gguf", MODEL);

    const { status, stdout, stderr } = await runSluice(["inspect", path, "--json"]);

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(stdout) as ModelReport;
    expect(report.model).toMatchObject({
      architecture: "smallthinker",
      layers: 2,
      moeLayers: 2,
      experts: 8,
      topK: 2,
      bytes: MODEL.length,
    });
    // Three f32 matrices of 256 x 256.
    expect(report.expert).toEqual({ bytes: 786432, allBytes: 16 * 786432, formats: ["f32"] });
    expect(report.budgets.at(-1)).toMatchObject({ slots: [8, 8], residentExperts: 16 });
    const tensors = report.tensors.reduce((sum, { count }) => sum + count, 0);
    expect(tensors).toBe(3 + 2 * 10);
  });

  test("reads a URL, and plans for a budget of its own", async () => {
    await using server = await serveFile(MODEL);

    const { status, stdout } = await callSluice(["inspect", server.url, "--gpu-budget", "8MB"]);

    expect(status).toBe(0);
    expect(stdout).toMatch(/^8MB +\d/m);
    expect(stdout).toContain("8 in a layer, 2 used by a token");
  });
});

test("inspect reads all files of a split model, whichever is named", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const paths = partNames(join(folder, "tiny"), 3);
  const parts = await splitGguf(MODEL, [3, 9, 100]);
  for (const [index, path] of paths.entries()) await writeFile(path, parts[index]!);

  const { stdout } = await callSluice(["inspect", paths[1]!, "--json"]);
  const { model, expert } = JSON.parse(stdout) as ModelReport;
  expect(model).toMatchObject({ files: 3, layers: 2, file: paths[0] });
  expect(expert.allBytes).toBe(16 * 786432);
  expect((await callSluice(["inspect", paths[0]!])).stdout).toMatch(/^file .* in 3 files$/m);

  await rm(paths[2]!);
  const { status, stderr } = await callSluice(["inspect", paths[0]!]);
  expect(status).toBe(2);
  expect(stderr).toMatch(
    /^sluice: not-found: .*tiny-00003-of-00003\.gguf: .* part 3 of a model split/,
  );
});

describe("inspect --supported", () => {
  test("prints the names of every registry", async () => {
    const { status, stdout } = await callSluice(["inspect", "--supported"]);

    expect(status).toBe(0);
    expect(stdout).toMatch(/^architectures +smallthinker, /);
    expect(stdout).toMatch(/^weight formats +f32, /m);
    expect(stdout).toMatch(/^tokenizers +gpt2, llama/m);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("prints one JSON object", async () => {
    const { stdout } = await callSluice(["inspect", "--supported", "--json"]);

    expect(JSON.parse(stdout)).toEqual(supported());
  });
});

/** One bad command line each: what is wrong, the arguments, and the line that must tell it. */
interface BadInput {
  readonly args: (model: string) => readonly string[];
  readonly says: RegExp;
  readonly model?: Uint8Array | string;
}

describe("bad input ends with status 2 and one line", () => {
  const cases: Record<string, BadInput> = {
    "no model": { args: () => ["generate"], says: /^sluice: bad-input: .*'model'/ },
    "nothing to inspect": {
      args: () => ["inspect"],
      says: /^sluice: bad-input: inspect takes either a model or --supported/,
    },
    "two things to inspect": {
      args: (model) => ["inspect", model, "--supported"],
      says: /^sluice: bad-input: inspect takes either a model or --supported/,
    },
    "no command": { args: () => [], says: /^sluice: bad-input: Give a command: inspect, gen/ },
    "an unknown command": { args: () => ["paint"], says: /^sluice: bad-input: unknown command/ },
    "an unknown flag": {
      args: (model) => ["inspect", model, "--colour"],
      says: /^sluice: bad-input: unknown option '--colour'/,
    },
    "an unknown runtime": {
      args: (model) => ["generate", model, ...PROMPT, "--runtime", "netscape"],
      says: /^sluice: bad-input: --runtime is "netscape".*chromium, firefox, dawn/,
    },
    "an empty prompt": {
      args: (model) => ["generate", model, "--prompt", ""],
      says: /^sluice: bad-input: --prompt is empty/,
    },
    "a budget that is none": {
      args: (model) => ["generate", model, ...PROMPT, "--gpu-budget", "lots"],
      says: /^sluice: bad-input: "lots" is not a budget/,
    },
    "a missing file": {
      args: () => ["generate", "no-such-model.gguf", ...PROMPT],
      says: /^sluice: not-found: no-such-model.gguf/,
    },
    "a file that is no GGUF": {
      args: (model) => ["inspect", model],
      says: /^sluice: bad-file: .*not a GGUF/,
      model: "Once upon a time there was a file.",
    },
    "a truncated file": {
      args: (model) => ["inspect", model],
      says: /^sluice: truncated-file: .*model\.gguf/,
      model: MODEL.subarray(0, MODEL.length - 100_000),
    },
    "an unknown architecture": {
      args: (model) => ["inspect", model],
      says: /^sluice: unsupported-model: .*"mamba"/,
      model: writeGguf({ metadata: { "general.architecture": g.string("mamba") } }),
    },
  };

  test.for(Object.keys(cases))("%s", async (name) => {
    const { args, says, model = MODEL } = cases[name] as BadInput;
    const path = await temporaryFile("model.gguf", model);

    const { status, stdout, stderr } = await callSluice(args(path));

    expect(stderr).toMatch(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });

  test("a browser that is not there, told by the process", async () => {
    const path = await temporaryFile("model.gguf", MODEL);
    const env = { CHROMIUM: "/no/such/browser" };

    const { status, stdout, stderr } = await runSluice(["generate", path, ...PROMPT], env);

    expect(stderr).toMatch(/^sluice: not-found: [^\n]*\/no\/such\/browser[^\n]*\n$/);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });

  test("a URL that answers 404", async () => {
    await using server = await serveFile(MODEL, { statuses: Array(9).fill(404) });

    const { status, stderr } = await callSluice(["inspect", server.url]);

    expect(stderr).toMatch(/^sluice: not-found: .*model\.gguf/);
    expect(status).toBe(2);
  });
});

test("--help ends with status 0", async () => {
  const { status, stdout } = await callSluice(["generate", "--help"]);

  expect(status).toBe(0);
  expect(stdout).toContain("--gpu-budget");
});
