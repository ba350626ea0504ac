import { expect, test } from "vitest";
import { readSettings } from "../../../src/engine/settings.ts";
import type { GenerateOptions } from "../../../src/rpc/api.ts";

test("fills in defaults that change nothing", () => {
  const { sampler, stop, topLogprobs, trace, maxTokens, seed } = readSettings({});

  expect(sampler).toMatchObject({
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
  });
  expect({ stop, topLogprobs, trace }).toEqual({ stop: [], topLogprobs: undefined, trace: false });
  expect(maxTokens).toBe(Number.POSITIVE_INFINITY);
  expect(Number.isInteger(seed)).toBe(true);
});

test.for<GenerateOptions>([
  { maxTokens: 0 },
  { maxTokens: 1.5 },
  { temperature: -1 },
  { temperature: Number.NaN },
  { topK: -1 },
  { topP: 1.1 },
  { minP: -0.1 },
  { repetitionPenalty: 0 },
  { seed: -1 },
  { topLogprobs: 1001 },
  { stop: [""] },
  { speculation: "guess" as "auto" },
  { stop: "END" as unknown as string[] },
  { temperature: "warm" as unknown as number },
])("refuses %o in a sentence that names the option", (options) => {
  const [name] = Object.keys(options);

  expect(() => readSettings(options)).toThrow(
    expect.objectContaining({ code: "bad-input", message: expect.stringContaining(name!) }),
  );
});
