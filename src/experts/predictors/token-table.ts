import { mostProbableFirst } from "./guesses.ts";
import type { ExpertGuess, Guesser, GuessingPredictor, RoutingShape } from "./predictor.ts";

/** Occurrences of a token that are remembered. Contexts differ, so a few recent ones say as much as many. */
const OCCURRENCES = 4;

/** Tokens that are remembered: with 48 layers of 8 experts 3 KiB each. The one seen longest ago is forgotten. */
const MAX_TOKENS = 4096;

/** How many occurrences the expectation of a token's first one weighs: an expert is chosen as often as any other. */
const PRIOR_OCCURRENCES = 1;

/**
 * Guesses what the same token id wanted before: routers of early layers go by the token more than by its context.
 * Source: "OpenMoE" (2402.01739), context-independent specialisation.
 */
export const tokenTable: GuessingPredictor = {
  kind: "guess",
  lead: "token",
  needsGpuGuesses: false,
  create: createGuesser,
};

function createGuesser({ pools, experts, topK }: RoutingShape): Guesser {
  const layers = pools.length;
  const table = new Map<number, Uint16Array[]>(); // of each token its last occurrences [layers, topK], oldest first

  function remember(token: number, chosen: Uint16Array): void {
    const known = table.get(token) ?? [];
    table.delete(token); // to the end of the order
    table.set(token, [...known, chosen].slice(-OCCURRENCES));
    if (table.size > MAX_TOKENS) table.delete(table.keys().next().value!);
  }

  return {
    observe(tokens, ids) {
      for (let position = 0; position < tokens.length; position++) {
        const chosen = new Uint16Array(layers * topK);
        for (let at = 0; at < chosen.length; at++) {
          chosen[at] = ids[Math.floor(at / topK)]![position * topK + (at % topK)]!;
        }
        remember(tokens[position]!, chosen);
      }
    },
    beforePass(token) {
      const occurrences = table.get(token) ?? [];
      const expected = (PRIOR_OCCURRENCES * topK) / experts;
      const guesses: ExpertGuess[] = [];
      for (const [index, times] of countChoices(occurrences, topK, experts)) {
        const probability = (times + expected) / (occurrences.length + PRIOR_OCCURRENCES);
        guesses.push({
          moe: Math.floor(index / experts),
          expert: index % experts,
          probability: Math.min(1, probability),
        });
      }
      return mostProbableFirst(guesses);
    },
    beforeLayer: () => [],
  };
}

/** How many of the occurrences chose each expert, by `moe * experts + expert`. */
function countChoices(
  occurrences: readonly Uint16Array[],
  topK: number,
  experts: number,
): Map<number, number> {
  const counts = new Map<number, number>();
  for (const chosen of occurrences) {
    chosen.forEach((expert, at) => {
      const index = Math.floor(at / topK) * experts + expert;
      counts.set(index, (counts.get(index) ?? 0) + 1);
    });
  }
  return counts;
}
