import { SluiceError, throwIfAborted } from "../errors.ts";
import type { History } from "./history.ts";
import type { RunningModel } from "./model.ts";
import type { PassResult } from "./pass.ts";
import { checkTokens } from "./prompt.ts";

/** What tokens are scored with; all of it is the engine's. */
export interface ScoreParts {
  readonly model: RunningModel;
  readonly history: History;
  readonly signal: AbortSignal | undefined;
  /** Runs a pass while no budget is being changed. */
  readonly exclusive: (pass: () => Promise<PassResult>) => Promise<PassResult>;
}

/** Throws "bad-input" for tokens that do not exist or fewer than two, "context-full" for more than the context holds. */
export function checkScored(
  tokens: readonly number[],
  { spec, contextTokens }: Pick<RunningModel, "spec" | "contextTokens">,
): void {
  if (!Array.isArray(tokens) || tokens.length < 2) {
    throw new SluiceError(
      "bad-input",
      "There is nothing to score: give a list of at least two tokens, of which all but the first are scored.",
    );
  }
  checkTokens(tokens, spec.vocab);
  if (tokens.length > contextTokens) {
    throw new SluiceError(
      "context-full",
      `${tokens.length} tokens were given to score; the context holds ${contextTokens}. Score them in pieces, or load the model with a larger contextTokens.`,
    );
  }
}

/**
 * The log-probability of each token but the first, given those before it. The conversation before is forgotten, and its
 * place taken by these tokens. Throws "aborted" and what a pass throws.
 */
export async function scoreTokens(
  tokens: readonly number[],
  { model, history, signal, exclusive }: ScoreParts,
): Promise<number[]> {
  // Every token needs a pass here, also those whose keys the cache has already.
  history.clear();
  const logprobs: number[] = [];
  const last = tokens.length - 1;
  const { chunkTokens } = model;
  for (let position = 0; position < last; position += chunkTokens) {
    throwIfAborted(signal, "Scoring");
    const end = Math.min(last, position + chunkTokens);
    const chunk = tokens.slice(position, end);
    const following = tokens[end]!;
    const pass = await history.compute(chunk, () =>
      exclusive(() => model.pass(chunk, position, { logits: false, following, signal })),
    );
    logprobs.push(...pass.logprobs!);
  }
  return logprobs;
}
