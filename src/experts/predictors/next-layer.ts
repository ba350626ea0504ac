import { mostProbableFirst } from "./guesses.ts";
import type { Guesser, GuessingPredictor, RoutingShape } from "./predictor.ts";
import { Reliability } from "./reliability.ts";

/**
 * Guesses that a layer wants what its router says of the state one layer earlier; residual streams change little from
 * layer to layer. Each rank is as probable as it was so far.
 * Source: mixtral-offloading (2312.17238), AdapMoE, Fate.
 */
export const nextLayer: GuessingPredictor = {
  kind: "guess",
  lead: "layer",
  needsGpuGuesses: true,
  create: createGuesser,
};

function createGuesser({ pools, topK }: RoutingShape): Guesser {
  const reliability = new Reliability(pools.length, topK);
  const asked = new Map<number, ArrayLike<number>>(); // what was guessed in this pass, by MoE layer

  return {
    observe(tokens, ids) {
      for (const [moe, guess] of asked) {
        if (tokens.length === 1) reliability.observe(moe, guess, ids[moe]!);
      }
      asked.clear();
    },
    beforePass: () => [],
    beforeLayer(moe, _ids, gpuGuess) {
      if (!gpuGuess) return [];
      const ranked = [...new Set(Array.from(gpuGuess))].slice(0, topK);
      asked.set(moe, ranked);
      return mostProbableFirst(
        ranked.map((expert, rank) => ({
          moe,
          expert,
          probability: reliability.probability(moe, rank),
        })),
      );
    },
  };
}
