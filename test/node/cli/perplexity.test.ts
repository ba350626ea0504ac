import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { runtimeNames } from "../../../src/cli/runtimes/registry.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";
import { callSluice, runSluice, temporaryFile } from "./run-sluice.ts";

/** A browser's start and the shaders of a model, on busy cores. */
const TIMEOUT_MS = 300_000;

const TRAINED = "test/models/sluice-tiny.gguf";

/**
 * What `text_perplexity` of tools/train/evaluate.py says of the first paragraph of test/models/held-out.txt, in windows
 * of 64 tokens, with the weights of {@link TRAINED} in f32.
 */
const MEASURED = { textTokens: 186, tokens: 183, loss: 1.69636 };

async function firstParagraph(): Promise<string> {
  const text = await readFile("test/models/held-out.txt", "utf8");
  return temporaryFile("text.txt", `${text.split("\n\n")[0]}\n`);
}

describe("perplexity of a trained model", () => {
  test("is what the training tools measure, at every budget", { timeout: TIMEOUT_MS }, async () => {
    const text = await firstParagraph();
    // Timing kernels is for the tests of `bench`.
    const flags = ["--text", text, "--window", "64", "--runtime", "dawn", "--variants", "serial"];

    const all = await runSluice(["perplexity", TRAINED, ...flags, "--json"]);
    const quarter = await runSluice([
      ...["perplexity", TRAINED, ...flags, "--json", "--gpu-budget", "25%", "--fill", "off"],
    ]);

    expect({ status: all.status, stderr: all.stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(all.stdout);
    const { textTokens, tokens, loss } = report;
    expect({ textTokens, tokens, loss }).toEqual({
      ...MEASURED,
      loss: expect.closeTo(MEASURED.loss, 4),
    });
    expect(report).toMatchObject({
      runtime: "dawn",
      model: { architecture: "smallthinker", contextTokens: 64 },
      windowTokens: 64,
      windows: 3,
      perplexity: Math.exp(loss),
    });
    expect(report.standardError).toBeGreaterThan(0);
    expect(report.stats.tokensPerSecond).toBeGreaterThan(0);
    const paged = JSON.parse(quarter.stdout);
    expect(paged).toMatchObject({ textTokens, tokens, loss });
    expect(paged.stats.expertMisses).toBeGreaterThan(report.stats.expertMisses);
  });
});

describe.for(runtimeNames)("perplexity in %s", (runtime) => {
  test("is printed, and is that of a guess for a model that knows nothing", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const model = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 });
    const path = await temporaryFile("model.gguf", model);
    const text = await temporaryFile("text.txt", "the cat and the hat. ".repeat(4));
    const flags = ["--text", text, "--window", "20", "--variants", "serial", "--runtime", runtime];

    const { status, stdout, stderr } = await runSluice(["perplexity", path, ...flags, "--verbose"]);

    expect(status).toBe(0);
    expect(stderr).toContain("window 1 of ");
    const [, perplexity] = /^perplexity (\d+\.\d{4}) ± \d+\.\d{4}$/m.exec(stdout) ?? [];
    // Random weights are no better than a guess among all 320 tokens, and not worse by orders of magnitude.
    expect(Number(perplexity)).toBeGreaterThan(32);
    expect(Number(perplexity)).toBeLessThan(32_000);
    expect(stdout).toMatch(/^scored {5}\d+ tokens in \d+ windows, [\d.]+ tokens a second$/m);
  });
});

describe("perplexity refuses", () => {
  test.for<[string, { text?: string | Uint8Array; flags?: string[]; says: RegExp }]>([
    ["an empty text", { text: "", says: /^sluice: bad-input: .*text\.txt: the text is empty/ }],
    ["bytes that are no text", { text: Uint8Array.of(0x61, 0xff), says: /bad-input: .*not UTF-8/ }],
    ["a missing text", { flags: ["--text", "none.txt"], says: /not-found: none\.txt/ }],
    ["a window of one token", { flags: ["--window", "1"], says: /bad-input: --window is "1"/ }],
    ["a missing model", { flags: [], says: /not-found: no-such-model\.gguf/ }],
    ["an unknown runtime", { flags: ["--runtime", "lynx"], says: /bad-input: --runtime/ }],
  ])("%s", async ([, { text = "Once upon a time", flags = [], says }]) => {
    const path = await temporaryFile("text.txt", text);

    const { status, stdout, stderr } = await callSluice([
      ...["perplexity", "no-such-model.gguf", "--text", path, ...flags],
    ]);

    expect(stderr).toMatch(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });

  test("to run with no text", async () => {
    const { status, stderr } = await callSluice(["perplexity", TRAINED]);

    expect(stderr).toMatch(/^sluice: bad-input: .*--text <file>.*\n$/);
    expect(status).toBe(2);
  });

  test.for([
    [
      "a window that is larger than the context",
      "Once upon a time",
      ["--window", "513"],
      /--window 513/,
    ],
    ["a text of one token", "a", [], /a single token/],
  ] as const)("%s", { timeout: TIMEOUT_MS }, async ([, content, flags, says]) => {
    const text = await temporaryFile("text.txt", content);

    const { status, stdout, stderr } = await runSluice([
      ...["perplexity", TRAINED, "--text", text, "--runtime", "onnx", ...flags],
    ]);

    expect(stderr).toMatch(/^sluice: bad-input: [^\n]*\n$/);
    expect(stderr).toMatch(says);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });
});
