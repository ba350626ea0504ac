import { SluiceError } from "../errors.ts";
import type { EngineStats, ScoreResult } from "../rpc/api.ts";

/** A text to score, and into how long windows it is cut. */
export interface ScoreTask {
  readonly kind: "score";
  readonly text: string;
  readonly windowTokens: number;
}

/** How far the scoring of a text is. */
export interface ScoreProgress {
  readonly windows: number;
  readonly allWindows: number;
  /** Mean negative log-likelihood of the tokens scored so far, in nats. */
  readonly loss: number;
}

/** How probable a model finds a text. */
export interface TextScore {
  readonly textTokens: number;
  readonly windows: number;
  /** Tokens that were scored: all but the first of each window. */
  readonly tokens: number;
  /** Mean negative log-likelihood of a scored token, in nats. */
  readonly loss: number;
  /** Of `loss`, as if tokens were independent of each other: their deviation over the root of their number. */
  readonly standardError: number;
  /** The engine's after the last window, counters summed over all of them; `tokensPerSecond` is that of scoring. */
  readonly stats: EngineStats;
}

/** What an engine must do for it, here or in a worker. */
export interface ScoringEngine {
  tokenize(text: string): readonly number[] | Promise<readonly number[]>;
  score(tokens: readonly number[]): Promise<ScoreResult>;
}

/** Stats that start at 0 with each window. */
const COUNTERS = [
  "promptTokens",
  "prefillMs",
  "expertHits",
  "expertMisses",
  "faults",
  "stallMs",
  "prefetchIssued",
  "prefetchUsed",
  "prefetchLate",
  "prefetchWastedBytes",
  "loadsFromRam",
  "loadsFromDisk",
  "loadsFromSource",
  "bytesFromNetwork",
  "bytesFromDisk",
  "bytesUploaded",
] as const satisfies readonly (keyof EngineStats)[];

/**
 * Scores a text: tokenised as one, with no token added, and cut into windows that do not overlap, each in a context of
 * its own. `tools/train/evaluate.py` measures by the same rule. Throws "bad-input" for a text of fewer than two tokens.
 */
export async function scoreText(
  engine: ScoringEngine,
  { text, windowTokens }: ScoreTask,
  onWindow: (progress: ScoreProgress) => void,
): Promise<TextScore> {
  const textTokens = await engine.tokenize(text);
  const windows = windowsOf(textTokens, windowTokens);
  let tokens = 0;
  let sum = 0;
  let squares = 0;
  let stats: EngineStats | undefined;
  for (const [index, window] of windows.entries()) {
    const scored = await engine.score(window);
    for (const logprob of scored.logprobs) {
      tokens++;
      sum -= logprob;
      squares += logprob ** 2;
    }
    stats = stats ? added(stats, scored.stats) : scored.stats;
    onWindow({ windows: index + 1, allWindows: windows.length, loss: sum / tokens });
  }
  if (!stats) {
    throw new SluiceError(
      "bad-input",
      "The text is a single token; at least two are needed, of which all but the first are scored.",
    );
  }
  const loss = sum / tokens;
  const variance = tokens > 1 ? Math.max(0, squares - tokens * loss ** 2) / (tokens - 1) : 0;
  return {
    textTokens: textTokens.length,
    windows: windows.length,
    tokens,
    loss,
    standardError: Math.sqrt(variance / tokens),
    stats: { ...stats, tokensPerSecond: (1000 * tokens) / stats.prefillMs },
  };
}

/** Windows of `windowTokens`, the last one shorter; a token that would be alone in its window is left out. */
export function windowsOf(tokens: readonly number[], windowTokens: number): readonly number[][] {
  const windows: number[][] = [];
  for (let start = 0; start + 1 < tokens.length; start += windowTokens) {
    windows.push(tokens.slice(start, start + windowTokens));
  }
  return windows;
}

/** `last`, with what was counted before. */
function added(before: EngineStats, last: EngineStats): EngineStats {
  const sums = COUNTERS.map((key) => [key, before[key] + last[key]]);
  return { ...last, ...Object.fromEntries(sums) };
}
