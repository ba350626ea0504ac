import { describe, expect, test } from "vitest";
import {
  type GenerateFlags,
  readGenerateOptions,
  readLoadOptions,
  readPrompt,
} from "../../../src/cli/flags.ts";
import { readRuntime } from "../../../src/cli/runtimes/registry.ts";
import { temporaryFile } from "./run-sluice.ts";

const DEFAULTS: GenerateFlags = { maxTokens: "64", stop: [] };

function badInput(name: string) {
  return expect.objectContaining({ code: "bad-input", message: expect.stringContaining(name) });
}

/** What `run` throws, or undefined. */
function thrown(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("prompts", () => {
  test("are a text, token ids or a conversation", async () => {
    const messages = [{ role: "user", content: "Hello" }];
    const list = await temporaryFile("list.json", JSON.stringify(messages));
    const request = await temporaryFile("request.json", JSON.stringify({ messages }));

    expect(readPrompt({ ...DEFAULTS, prompt: " x " })).toEqual({ text: " x " });
    expect(readPrompt({ ...DEFAULTS, tokens: "1, 2,30" })).toEqual({ tokens: [1, 2, 30] });
    expect(readPrompt({ ...DEFAULTS, chat: list })).toEqual({ messages });
    expect(readPrompt({ ...DEFAULTS, chat: request })).toEqual({ messages });
  });

  test.for<[string, Partial<GenerateFlags>]>([
    ["nothing to generate from", {}],
    ["only one of", { prompt: "x", tokens: "1" }],
    ["--prompt is empty", { prompt: "" }],
    ["--tokens", { tokens: "" }],
    ["--tokens", { tokens: "1,,2" }],
    ["--tokens", { tokens: "1,x" }],
    ["--tokens", { tokens: "1.5" }],
    ["--tokens", { tokens: "-1" }],
    ["--tokens", { tokens: "0x10" }],
  ])("are refused with %s: %o", ([name, flags]) => {
    expect(thrown(() => readPrompt({ ...DEFAULTS, ...flags }))).toEqual(badInput(name));
  });

  test.for([["{"], ["[]"], ["5"], ['[{"role":"robot","content":"x"}]'], ['[{"role":"user"}]']])(
    "are refused for a file that holds %s",
    async ([text]) => {
      const chat = await temporaryFile("chat.json", text as string);

      expect(thrown(() => readPrompt({ ...DEFAULTS, chat }))).toEqual(badInput("chat.json"));
    },
  );

  test("are refused for a file that is not there", () => {
    const error = thrown(() => readPrompt({ ...DEFAULTS, chat: "missing.json" }));

    expect(error).toMatchObject({ code: "not-found" });
  });
});

describe("options", () => {
  test("leave out what was not given", () => {
    expect(readGenerateOptions(DEFAULTS)).toEqual({ maxTokens: 64 });
    expect(readLoadOptions(DEFAULTS)).toEqual({});
  });

  test("carry every flag", () => {
    const generate = readGenerateOptions({
      ...DEFAULTS,
      maxTokens: "5",
      temperature: ".7",
      topK: "40",
      topP: "0.9",
      minP: "5e-2",
      repetitionPenalty: "1.1",
      seed: "0",
      stop: ["END", "\n"],
      topLogprobs: "3",
      trace: "trace.json",
    });
    const load = readLoadOptions({
      ...DEFAULTS,
      gpuBudget: "50%",
      context: "512",
      kvCache: "f16",
      variants: "serial",
      rules: "llama.cpp",
      speculation: "prompt-lookup",
    });

    expect(generate).toEqual({
      maxTokens: 5,
      temperature: 0.7,
      topK: 40,
      topP: 0.9,
      minP: 0.05,
      repetitionPenalty: 1.1,
      seed: 0,
      stop: ["END", "\n"],
      topLogprobs: 3,
      trace: true,
    });
    expect(load).toEqual({
      gpuBudget: "50%",
      contextTokens: 512,
      kvCache: "f16",
      variants: "serial",
      rules: "llama.cpp",
      speculation: "prompt-lookup",
    });
  });

  test.for<[string, Partial<GenerateFlags>]>([
    ["--max-tokens", { maxTokens: "0" }],
    ["--max-tokens", { maxTokens: "1.5" }],
    ["--max-tokens", { maxTokens: "" }],
    ["--max-tokens", { maxTokens: "ten" }],
    ["--temperature", { temperature: "-1" }],
    ["--temperature", { temperature: "Infinity" }],
    ["--top-k", { topK: "-1" }],
    ["--top-p", { topP: "1.1" }],
    ["--min-p", { minP: "2" }],
    ["--repetition-penalty", { repetitionPenalty: "0" }],
    ["--seed", { seed: "0.5" }],
    ["--stop", { stop: [""] }],
    ["--top-logprobs", { topLogprobs: "many" }],
  ])("are refused with a bad %s: %o", ([name, flags]) => {
    expect(thrown(() => readGenerateOptions({ ...DEFAULTS, ...flags }))).toEqual(badInput(name));
  });

  test("pin families of kernels, and keep them from being timed", () => {
    const variants = "matrix=workgroup-8, router=serial";

    expect(readLoadOptions({ ...DEFAULTS, variants, autotune: false })).toEqual({
      variants: { matrix: "workgroup-8", router: "serial" },
      autotune: false,
    });
    expect(readLoadOptions({ ...DEFAULTS, autotune: true })).toEqual({});
  });

  test.for<[string, Partial<GenerateFlags>]>([
    ["budget", { gpuBudget: "lots" }],
    ["budget", { gpuBudget: "" }],
    ["budget", { gpuBudget: "150%" }],
    ["--context", { context: "0" }],
    ["--kv-cache", { kvCache: "f64" }],
    ["--variants", { variants: "fast" }],
    ["--accuracy", { accuracy: "int4" }],
    ["--variants", { variants: "matrix=fast" }],
    ["--variants", { variants: "matrices=serial" }],
    ["--variants", { variants: "matrix=serial,router" }],
    ["--variants", { variants: "matrix=serial=16" }],
    ["--rules", { rules: "none" }],
    ["--threads", { threads: "0" }],
  ])("are refused with a bad %s: %o", ([name, flags]) => {
    expect(thrown(() => readLoadOptions({ ...DEFAULTS, ...flags }))).toEqual(badInput(name));
  });

  test("name a runtime that there is", () => {
    expect(readRuntime("dawn")).toBe("dawn");
    expect(thrown(() => readRuntime("netscape"))).toEqual(badInput("chromium, firefox, dawn"));
  });
});
