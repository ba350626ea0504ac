/** Passes after which an observation counts half. Long, because ranks differ by little and texts last. */
const HALF_LIFE_PASSES = 128;

/**
 * How often the guess of each rank was right in each MoE layer: what turns a ranked list into probabilities. Starts at
 * one half, as if one guess had been right and one wrong, and forgets slowly.
 */
export class Reliability {
  readonly #topK: number;
  readonly #right: Float64Array; // [layers, topK]
  readonly #made: Float64Array; // [layers, topK]

  constructor(layers: number, topK: number) {
    this.#topK = topK;
    this.#right = new Float64Array(layers * topK).fill(1);
    this.#made = new Float64Array(layers * topK).fill(2);
  }

  /** Compares a ranked guess for a MoE layer with what it chose. */
  observe(moe: number, guessed: ArrayLike<number>, chosen: ArrayLike<number>): void {
    const wanted = new Set(Array.from(chosen));
    const keep = 2 ** (-1 / HALF_LIFE_PASSES);
    for (let rank = 0; rank < Math.min(this.#topK, guessed.length); rank++) {
      const index = moe * this.#topK + rank;
      this.#right[index] = this.#right[index]! * keep + (wanted.has(guessed[rank]!) ? 1 : 0);
      this.#made[index] = this.#made[index]! * keep + 1;
    }
  }

  /** The probability that the guess of that rank is right. */
  probability(moe: number, rank: number): number {
    const index = moe * this.#topK + rank;
    return this.#right[index]! / this.#made[index]!;
  }
}
