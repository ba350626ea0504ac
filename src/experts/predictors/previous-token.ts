import { lastToken, mostProbableFirst } from "./guesses.ts";
import type { Guesser, GuessingPredictor, RoutingShape } from "./predictor.ts";
import { Reliability } from "./reliability.ts";

/**
 * Guesses that a token wants what the token before it wanted, each rank as probable as it was so far. Costs nothing,
 * and what it names is mostly on the GPU already: its use is after a resize or a long prompt.
 */
export const previousToken: GuessingPredictor = {
  kind: "guess",
  lead: "token",
  needsGpuGuesses: false,
  create: createGuesser,
};

function createGuesser({ pools, topK }: RoutingShape): Guesser {
  const reliability = new Reliability(pools.length, topK);
  let previous: number[][] | undefined; // for each MoE layer [topK]

  return {
    observe(tokens, ids) {
      const before = previous;
      if (tokens.length === 1 && before) {
        ids.forEach((chosen, moe) => {
          reliability.observe(moe, before[moe]!, chosen);
        });
      }
      if (tokens.length > 0) previous = ids.map((chosen) => lastToken(chosen, topK));
    },
    beforePass() {
      const guesses = (previous ?? []).flatMap((chosen, moe) =>
        chosen.map((expert, rank) => ({
          moe,
          expert,
          probability: reliability.probability(moe, rank),
        })),
      );
      return mostProbableFirst(guesses);
    },
    beforeLayer: () => [],
  };
}
