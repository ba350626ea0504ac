import { describe, expect, test } from "vitest";
import { spreadOf } from "../../../src/cli/bench/spread.ts";
import {
  byKernel,
  describeVariants,
  formatSections,
  markdownSections,
  sectionsOf,
} from "../../../src/cli/bench/tables.ts";
import { type BenchEngine, type BenchResult, runBench } from "../../../src/cli/bench/task.ts";
import { readDepths } from "../../../src/cli/flags.ts";
import { choiceOfKind } from "../../../src/engine/tuning/choices.ts";
import type {
  EngineProfile,
  EngineStats,
  GenerateResult,
  KernelRow,
  ModelInfo,
  PassProfile,
} from "../../../src/rpc/api.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";
import { callSluice, runSluice, temporaryFile } from "./run-sluice.ts";

/** Pipelines of a model, on busy cores. */
const TIMEOUT_MS = 300_000;

const MODEL = {
  contextTokens: 64,
  vocab: 100,
  name: "some model",
  architecture: "olmoe",
} as ModelInfo;

const VARIANTS = choiceOfKind("serial");

const row = (layer: number | undefined, values: Partial<KernelRow>): KernelRow => ({
  ...{ kernel: "matvec", count: 1, microseconds: 100, bytes: 1000, multiplyAdds: 2e6 },
  ...{ boundBy: "bytes", ofCeiling: 0.5 },
  ...(layer !== undefined && { layer }),
  ...values,
});

const PASS: PassProfile = {
  ...{ tokens: 1, position: 8, dispatches: 3, microseconds: 400, bytes: 3000, multiplyAdds: 6e6 },
  floor: { bytesMs: 0.1, multiplyAddsMs: 0.2, dispatchesMs: 0.3 },
  rows: [
    row(0, {}),
    row(1, { microseconds: 200, ofCeiling: 0.2 }),
    row(undefined, { kernel: "embed", boundBy: "dispatches" }),
  ],
};

const PROFILE: EngineProfile = {
  adapter: "some GPU",
  variants: VARIANTS,
  method: "timestamp-query",
  ceilings: {
    copyBytesPerSecond: 1.5e9,
    multiplyAddsPerSecond: 2.5e9,
    dispatchMicroseconds: 20,
    readbackMilliseconds: 0.5,
    uploadBytesPerSecond: 5e8,
  },
  decode: PASS,
  prefill: { ...PASS, tokens: 32 },
};

type RuntimeName = EngineStats["runtime"]["name"];

/** An engine whose first reply is slow, and which decodes `lengths` tokens in turn. */
function fakeEngine(lengths: readonly number[], runtime: RuntimeName = "webgpu") {
  const prompts: (readonly number[])[] = [];
  const engine: BenchEngine = {
    tokenize: () => Array.from({ length: 50 }, (_, index) => index),
    async reply(prompt, { maxTokens }) {
      if (!("tokens" in prompt)) throw new Error("unreachable");
      const reply = prompts.push(prompt.tokens) - 1;
      const tokens = Math.min(maxTokens!, lengths[reply % lengths.length]!);
      const stats: Partial<EngineStats> = {
        ...{ adapter: "some GPU", variants: VARIANTS, tokens, promptTokens: prompt.tokens.length },
        runtime: { name: runtime, reason: "it was asked for" },
        ...{ prefillMs: reply === 0 ? 1e6 : 100, tokensPerSecond: reply === 0 ? 0.1 : 10 + reply },
        ...{ dispatchesPerToken: 76, submitsPerToken: 1, readbacksPerToken: 1 },
        ...{ bytesWrittenPerToken: 24, bytesUploaded: 0 },
        prefill: { dispatches: 300, submits: 4, readbacks: 4, bytesWritten: 600 },
      };
      return { stats } as GenerateResult;
    },
    profile: async () => PROFILE,
  };
  return { engine, prompts };
}

const TASK = { kind: "bench", promptTokens: 20, decodeTokens: 8, repeats: 3, depths: [] } as const;

describe("a spread", () => {
  test("is the middle and both ends", () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3, samples: 3 });
    expect(spreadOf([4, 1, 2, 3])).toMatchObject({ median: 2.5, samples: 4 });
  });
});

describe("depths", () => {
  test("are read in any order, each once", () => {
    expect(readDepths("512, 0,1024,512")).toEqual([0, 512, 1024]);
    expect(readDepths("none")).toEqual([]);
  });

  test("are whole numbers", () => {
    expect(() => readDepths("0,1.5")).toThrow("--depths");
    expect(() => readDepths("0,,5")).toThrow("--depths");
  });
});

describe("a bench", () => {
  test("leaves the first reply out, and never gives the same prompt twice", async () => {
    const { engine, prompts } = fakeEngine([9]);

    const { prefill, decode } = await runBench(engine, MODEL, TASK);

    expect(prefill).toMatchObject({
      ...{ tokens: 20, dispatches: 300, submits: 4, readbacks: 4, bytesWritten: 600 },
      tokensPerSecond: { median: 200, samples: 3 },
    });
    expect(decode).toMatchObject({
      ...{ tokens: 8, dispatches: 76, submits: 1, readbacks: 1, bytesWritten: 24 },
      tokensPerSecond: { median: 12, least: 11, most: 13, samples: 3 },
    });
    expect(new Set(prompts.map(([first]) => first)).size).toBe(prompts.length);
  });

  test("tries other prompts where a reply ends early", async () => {
    const { engine, prompts } = fakeEngine([9, 2, 9]);

    const { decode } = await runBench(engine, MODEL, TASK);

    expect(decode.tokens).toBe(8);
    expect(prompts.length).toBeGreaterThan(1 + TASK.repeats);
  });

  test("gives up on a model that says nothing", async () => {
    const { engine } = fakeEngine([1]);

    await expect(runBench(engine, MODEL, TASK)).rejects.toMatchObject({ code: "bad-input" });
  });

  test("measures depths that fit, behind one prompt for each", async () => {
    const { engine, prompts } = fakeEngine([9]);

    const { depths } = await runBench(engine, MODEL, { ...TASK, depths: [0, 30, 60] });

    expect(depths.map(({ depth }) => depth)).toEqual([0, 30]);
    expect(depths[1]!.tokensPerSecond.samples).toBe(3);
    expect(prompts.slice(-3).map(({ length }) => length)).toEqual([30, 30, 30]);
  });

  test("refuses what the context has no room for", async () => {
    const { engine } = fakeEngine([9]);
    const task = { ...TASK, promptTokens: 60 };

    await expect(runBench(engine, MODEL, task)).rejects.toMatchObject({ code: "bad-input" });
  });
});

describe("a report", () => {
  test("joins the layers of a kernel, the longest first", () => {
    expect(byKernel(PASS)).toEqual([
      {
        ...{ kernel: "matvec", count: 2, microseconds: 300, bytes: 2000, multiplyAdds: 4e6 },
        ...{ boundBy: "bytes", ofCeiling: 0.3 },
      },
      {
        ...{ kernel: "embed", count: 1, microseconds: 100, bytes: 1000, multiplyAdds: 2e6 },
        ...{ boundBy: "dispatches", ofCeiling: 0.5 },
      },
    ]);
  });

  test("has every number, for a terminal and in Markdown", async () => {
    const { engine } = fakeEngine([9]);
    const result: BenchResult = await runBench(engine, MODEL, { ...TASK, depths: [30] });
    const sections = sectionsOf({ ...MODEL, layers: 2, experts: 8, topK: 2 }, result);

    const text = formatSections(sections);
    expect(text).toContain("some GPU, serial kernels");
    expect(text).toContain("2 layers, 8 experts top-2");
    expect(text).toMatch(/a decoded token +12 +11 +13 +76 +1 +1 +24 B/);
    expect(text).toMatch(/f32 multiply-adds +2\.50 billion\/s/);
    expect(text).toMatch(/matvec +2 +300 +75 +2 +4 +bytes +30/);
    const markdown = markdownSections(sections);
    expect(markdown).toContain("| matvec | 2 | 300 | 75 | 2 | 4 | bytes | 30 |");
    expect(markdown).toContain(
      "| tokens | tokens/s | least | most |\n| --- | --- | --- | --- |\n| 30 |",
    );
  });

  test("in WebAssembly has speeds alone, and says why", async () => {
    const { engine } = fakeEngine([9], "onnx");
    const result: BenchResult = await runBench(engine, MODEL, { ...TASK, depths: [30] });
    const sections = sectionsOf({ ...MODEL, layers: 2, experts: 8, topK: 2 }, result);

    expect(result.profile).toBeUndefined();
    for (const text of [formatSections(sections), markdownSections(sections)]) {
      expect(text).toContain("Kernels can be timed on WebGPU alone");
      expect(text).not.toContain("dispatches");
      expect(text).not.toContain("kernels matrix");
    }
    expect(formatSections(sections)).toMatch(/a decoded token +12 +11 +13\n/);
  });
});

test("kernels of several kinds are named one by one", () => {
  const { matrix, batch } = VARIANTS;
  const mixed = { ...VARIANTS, matrix: "serial-4" };

  expect([matrix, batch]).toEqual(["serial", "serial"]);
  expect(describeVariants(mixed)).toMatch(/^kernels matrix=serial-4,batch=serial,/);
});

describe("sluice bench", () => {
  test("measures a model and ends with one JSON object", { timeout: TIMEOUT_MS }, async () => {
    const model = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 96 });
    const path = await temporaryFile("model.gguf", model);
    const flags = ["--prompt-tokens", "33", "--decode-tokens", "4", "--repeats", "2"];

    const { status, stdout, stderr } = await runSluice([
      ...["bench", path, ...flags, "--depths", "0,50,500", "--runtime", "dawn", "--json"],
    ]);

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      ...{ runtime: "dawn", model: { architecture: "smallthinker", layers: 2 } },
      prefill: { tokens: 33, submits: 2, readbacks: 2, tokensPerSecond: { samples: 2 } },
      decode: { submits: 1, readbacks: 1, bytesWritten: 0, tokensPerSecond: { samples: 2 } },
      depths: [{ depth: 0 }, { depth: 50 }],
      profile: { decode: { tokens: 1, position: 33 }, prefill: { tokens: 32, position: 33 } },
    });
    expect(report.decode.dispatches).toBe(report.profile.decode.dispatches);
    expect(report.decode.tokensPerSecond.median).toBeGreaterThan(0);
  });

  test("measures WebAssembly in this process", { timeout: TIMEOUT_MS }, async () => {
    const model = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 96 });
    const path = await temporaryFile("model.gguf", model);
    const flags = ["--prompt-tokens", "33", "--decode-tokens", "4", "--repeats", "2"];

    const { status, stdout, stderr } = await runSluice([
      ...[
        "bench",
        path,
        ...flags,
        "--depths",
        "50",
        "--runtime",
        "onnx",
        "--threads",
        "2",
        "--json",
      ],
    ]);

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      ...{ runtime: "onnx", adapter: expect.stringContaining("2 threads") },
      prefill: { tokens: 33, tokensPerSecond: { samples: 2 } },
      depths: [{ depth: 50 }],
    });
    expect(report.decode.tokensPerSecond.median).toBeGreaterThan(0);
    expect(report).not.toHaveProperty("profile");
  });

  test("says which flag is wrong, and that a model is not there", async () => {
    const repeats = await callSluice(["bench", "--repeats", "0"]);
    const missing = await callSluice(["bench"]);

    expect(repeats).toMatchObject({ status: 2, stderr: expect.stringContaining("--repeats") });
    expect(missing).toMatchObject({ status: 2, stderr: expect.stringContaining("not-found") });
  });
});
