import { describe, expect, test } from "vitest";
import { type ScoreProgress, scoreText, windowsOf } from "../../../src/cli/score-text.ts";
import type { EngineStats } from "../../../src/rpc/api.ts";

/** A token for each character; token t has log-probability -t, and each window takes a second and a miss. */
const engine = {
  asked: [] as (readonly number[])[],
  tokenize: (text: string) => Array.from(text, Number),
  async score(tokens: readonly number[]) {
    engine.asked.push(tokens);
    const stats = { prefillMs: 1000, expertMisses: 1, gpuBytes: 7 } as EngineStats;
    return { logprobs: tokens.slice(1).map((token) => -token), stats };
  },
};

describe("windows", () => {
  test.for([
    [0, 4, []],
    [1, 4, []],
    [2, 4, [2]],
    [4, 4, [4]],
    [5, 4, [4]],
    [6, 4, [4, 2]],
    [12, 4, [4, 4, 4]],
    [5, 2, [2, 2]],
  ] as const)("%i tokens in windows of %i", ([length, windowTokens, lengths]) => {
    const tokens = Array.from({ length }, (_, index) => index);

    const windows = windowsOf(tokens, windowTokens);

    expect(windows.map((window) => window.length)).toEqual(lengths);
    expect(windows.flat()).toEqual(tokens.slice(0, windows.flat().length));
  });
});

describe("a text's score", () => {
  test("is the mean over all tokens but the first of each window", async () => {
    const told: ScoreProgress[] = [];
    engine.asked = [];

    const score = await scoreText(
      engine,
      { kind: "score", text: "9129569", windowTokens: 3 },
      (progress) => told.push(progress),
    );

    expect(engine.asked).toEqual([
      [9, 1, 2],
      [9, 5, 6],
    ]);
    // 1, 2, 5 and 6 were scored: their mean is 3.5, their variance 17 / 3.
    expect(score).toMatchObject({ textTokens: 7, windows: 2, tokens: 4, loss: 3.5 });
    expect(score.standardError).toBeCloseTo(Math.sqrt(17 / 3 / 4), 12);
    expect(score.stats).toMatchObject({
      prefillMs: 2000,
      expertMisses: 2,
      gpuBytes: 7,
      tokensPerSecond: 2,
    });
    expect(told).toEqual([
      { windows: 1, allWindows: 2, loss: 1.5 },
      { windows: 2, allWindows: 2, loss: 3.5 },
    ]);
  });

  test("needs two tokens", async () => {
    const scoring = scoreText(engine, { kind: "score", text: "5", windowTokens: 3 }, () => {});

    await expect(scoring).rejects.toMatchObject({ code: "bad-input" });
  });
});
