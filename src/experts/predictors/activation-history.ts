import { mostProbableFirst } from "./guesses.ts";
import type { ExpertGuess, Guesser, GuessingPredictor, RoutingShape } from "./predictor.ts";

/** Tokens that one activation matrix counts: about a paragraph, over which routing is consistent. */
const MATRIX_TOKENS = 64;

/** Matrices that are kept; MoE-Infinity found that tens are enough. */
const MAX_MATRICES = 32;

/** Guesses less probable than this are not worth a list entry. */
const LEAST_PROBABILITY = 0.02;

/**
 * Guesses what was wanted in the passage of the past that looked most like the present one. A passage is an activation
 * matrix `[layers, experts]`: how many of its tokens chose each expert; likeness is the cosine, summed over layers. The
 * present passage counts as its own past, so that the first guesses need no stored one.
 * Source: MoE-Infinity (2401.14361), with fixed passages in place of whole sequences.
 */
export const activationHistory: GuessingPredictor = {
  kind: "guess",
  lead: "token",
  needsGpuGuesses: false,
  create: createGuesser,
};

interface ActivationMatrix {
  /** `[layers, experts]` */
  readonly counts: Float32Array;
  tokens: number;
}

function createGuesser({ pools, experts, topK }: RoutingShape): Guesser {
  const layers = pools.length;
  const past: ActivationMatrix[] = [];
  let present = emptyMatrix(layers * experts);

  /** Stores a full passage; when there are too many, in place of the stored one that it is most like. */
  function close(): void {
    if (past.length < MAX_MATRICES) past.push(present);
    else past[past.indexOf(mostLike(present, past)!)] = present;
    present = emptyMatrix(layers * experts);
  }

  function count(ids: readonly ArrayLike<number>[], position: number): void {
    for (let moe = 0; moe < layers; moe++) {
      for (let k = 0; k < topK; k++) {
        present.counts[moe * experts + ids[moe]![position * topK + k]!]!++;
      }
    }
    if (++present.tokens === MATRIX_TOKENS) close();
  }

  return {
    observe(tokens, ids) {
      for (let position = 0; position < tokens.length; position++) count(ids, position);
    },
    beforePass() {
      const like = present.tokens > 0 ? mostLike(present, past) : past.at(-1);
      const seen = present.tokens + (like?.tokens ?? 0);
      const guesses: ExpertGuess[] = [];
      for (let index = 0; seen > 0 && index < present.counts.length; index++) {
        const times = present.counts[index]! + (like?.counts[index] ?? 0);
        if (times < LEAST_PROBABILITY * seen) continue;
        const moe = Math.floor(index / experts);
        guesses.push({ moe, expert: index % experts, probability: times / seen });
      }
      return mostProbableFirst(guesses);
    },
    beforeLayer: () => [],
  };
}

function emptyMatrix(cells: number): ActivationMatrix {
  return { counts: new Float32Array(cells), tokens: 0 };
}

/** The first of the most similar matrices; undefined when there are none. */
function mostLike(
  matrix: ActivationMatrix,
  others: readonly ActivationMatrix[],
): ActivationMatrix | undefined {
  let best: ActivationMatrix | undefined;
  let bestLikeness = -Infinity;
  for (const other of others) {
    const likeness = cosine(matrix.counts, other.counts);
    if (likeness <= bestLikeness) continue;
    best = other;
    bestLikeness = likeness;
  }
  return best;
}

/** Every layer chooses equally often, so one cosine over all weighs layers nearly alike. */
function cosine(a: Float32Array, b: Float32Array): number {
  let dot = 0;
  let normA = 0;
  let normB = 0;
  for (let index = 0; index < a.length; index++) {
    dot += a[index]! * b[index]!;
    normA += a[index]! ** 2;
    normB += b[index]! ** 2;
  }
  return dot / Math.sqrt(normA * normB);
}
