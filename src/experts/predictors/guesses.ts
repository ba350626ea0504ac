import type { ExpertGuess } from "./predictor.ts";

/** Sorts guesses in place: most probable first, ties to the earlier layer and then to the lower expert. */
export function mostProbableFirst(guesses: ExpertGuess[]): ExpertGuess[] {
  return guesses.sort(
    (a, b) => b.probability - a.probability || a.moe - b.moe || a.expert - b.expert,
  );
}

/** The experts `[topK]` of the last token of a pass. */
export function lastToken(ids: ArrayLike<number>, topK: number): number[] {
  return Array.from({ length: topK }, (_, k) => ids[ids.length - topK + k]!);
}
