/** Passes after which an observation counts half: a few sentences' worth of a word each. */
const DEFAULT_HALF_LIFE_PASSES = 16;

/** What is assumed of a layer that nothing is known of, as if seen in one pass. */
const UNKNOWN = 0.5;

/**
 * For each MoE layer the probability that a pass finds an expert absent: the share of the passes so far that did, later
 * ones counting more. A miss counts whether the layer faulted or a cut served it.
 */
export class FaultEstimate {
  readonly #keep: number;
  readonly #missed: Float64Array; // [layers]
  readonly #passes: Float64Array; // [layers]

  constructor(layers: number, halfLifePasses = DEFAULT_HALF_LIFE_PASSES) {
    this.#keep = 2 ** (-1 / halfLifePasses);
    this.#missed = new Float64Array(layers).fill(UNKNOWN);
    this.#passes = new Float64Array(layers).fill(1);
  }

  /** A pass of one token was served in MoE layer `moe`: whether it found an expert absent. */
  observe(moe: number, missed: boolean): void {
    this.#missed[moe] = this.#missed[moe]! * this.#keep + (missed ? 1 : 0);
    this.#passes[moe] = this.#passes[moe]! * this.#keep + 1;
  }

  /** `[layers]`, each from 0 to 1; a copy. */
  get probabilities(): Float64Array {
    return this.#missed.map((missed, moe) => missed / this.#passes[moe]!);
  }
}
