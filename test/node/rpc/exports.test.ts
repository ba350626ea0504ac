import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as sluice from "../../../src/index.ts";

test("the page's entry exports these values", () => {
  expect(Object.keys(sluice).sort()).toEqual(["SLUICE_ERROR_CODES", "SluiceError", "connect"]);
});

test("the page's entry exports these names", () => {
  const source = readFileSync(new URL("../../../src/index.ts", import.meta.url), "utf8");
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((list) =>
    (list[1] ?? "").split(",").map((name) => name.replace(/^\s*type\s/, "").trim()),
  );
  const declared = [...source.matchAll(/^export (?:async )?(?:function|interface|const) (\w+)/gm)];
  const names = [...lists, ...declared.map((match) => match[1] ?? "")].filter(
    (name) => name !== "",
  );

  expect(names.sort()).toMatchInlineSnapshot(`
    [
      "Accuracy",
      "Bound",
      "Budget",
      "BudgetBytes",
      "Budgets",
      "CacheFormatName",
      "Ceilings",
      "ChatCompletion",
      "ChatCompletionChunk",
      "ChatCompletionLogprobs",
      "ChatCompletionMessage",
      "ChatCompletionRequest",
      "ChatCompletionTokenLogprob",
      "ChatCompletionUsage",
      "ChatCompletions",
      "ChatMessage",
      "ConnectOptions",
      "EngineProfile",
      "EngineStats",
      "EvictionPolicyName",
      "ExpertMap",
      "FamilyName",
      "FamilyReport",
      "FinishReason",
      "Floor",
      "GenerateCallOptions",
      "GenerateOptions",
      "GenerateResult",
      "KernelRow",
      "LoadCallOptions",
      "LoadOptions",
      "LoadProgress",
      "MeasuredCosts",
      "ModelInfo",
      "ModelSource",
      "PacingName",
      "PassCounts",
      "PassProfile",
      "PinnedVariants",
      "PredictorName",
      "ProfileOptions",
      "Prompt",
      "Reply",
      "RoutingTrace",
      "RuntimeReport",
      "RuntimeWanted",
      "SLUICE_ERROR_CODES",
      "ScoreCallOptions",
      "ScoreResult",
      "SluiceEngine",
      "SluiceError",
      "SluiceErrorCode",
      "SpeculationName",
      "SpeculationStats",
      "StorageReport",
      "StoredModel",
      "TokenChunk",
      "TokenLogprob",
      "VariantKind",
      "VariantReport",
      "VerifyReport",
      "WorkerEndpoint",
      "connect",
    ]
  `);
});
