/** When each expert was last used, as a count of uses; 0 for never. */
export class Recency {
  readonly #lastUse: Float64Array; // [experts]
  #clock = 0;

  constructor(experts: number) {
    this.#lastUse = new Float64Array(experts);
  }

  /** Experts of one pass, the most recent one last. */
  use(experts: readonly number[]): void {
    for (const expert of experts) this.#lastUse[expert] = ++this.#clock;
  }

  /** Negative when `a` was used longer ago than `b`; 0 when neither ever was. */
  compare(a: number, b: number): number {
    return this.#lastUse[a]! - this.#lastUse[b]!;
  }
}
