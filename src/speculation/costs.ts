/** What passes cost beside a token that is computed alone. */
export interface DraftCosts {
  /** Of a pass over `tokens` tokens, the first of them known, in units of a token alone; undefined: not known yet. */
  ofPass(tokens: number): number | undefined;
}

/** What one more token adds to a pass, where nothing is measured. */
const ASSUMED_TOKEN = 0.2;

/** For who wants drafts whatever they cost here, and the same ones each time. */
export const assumedCosts: DraftCosts = { ofPass: (tokens) => 1 + ASSUMED_TOKEN * (tokens - 1) };

/** Weight of a new measurement. */
const NEWEST = 0.5;

/**
 * What each token alone takes off what is known of longer passes, toward what one token costs: a pass that was slow once
 * is tried again after some hundred tokens, which costs a hundredth of the time at worst.
 */
const FORGOTTEN = 0.002;

/** Times of tokens alone and of passes over several, as they were measured. */
export class MeasuredCosts implements DraftCosts {
  #aloneMs: number | undefined;
  readonly #passMs = new Map<number, number>();
  #isWarm = false;

  /** A token was computed alone. */
  alone(ms: number): void {
    const before = this.#aloneMs ?? ms;
    // What other work slows down, or a load that is waited for, is not the usual cost of a token.
    this.#aloneMs = before + NEWEST * (Math.min(ms, 2 * before) - before);
    for (const [tokens, known] of this.#passMs) {
      this.#passMs.set(tokens, known + FORGOTTEN * (this.#aloneMs - known));
    }
  }

  /** A pass over several tokens was computed. The first one does not count: drivers finish shaders at their first use. */
  pass(tokens: number, ms: number): void {
    if (!this.#isWarm) {
      this.#isWarm = true;
      return;
    }
    const before = this.#passMs.get(tokens) ?? ms;
    this.#passMs.set(tokens, before + NEWEST * (ms - before));
  }

  /**
   * Between two lengths that were measured (a token alone is one) lies what lies between their times; a pass longer than
   * all of them is taken to cost no more, so that it is tried.
   */
  ofPass(tokens: number): number | undefined {
    if (this.#aloneMs === undefined) return undefined;
    const known = [[1, this.#aloneMs] as const, ...this.#passMs].sort(([a], [b]) => a - b);
    const above = known.find(([count]) => count >= tokens) ?? known.at(-1)!;
    const below = known.findLast(([count]) => count <= tokens) ?? known[0]!;
    const share = above[0] > below[0] ? (tokens - below[0]) / (above[0] - below[0]) : 0;
    return (below[1] + share * (above[1] - below[1])) / this.#aloneMs;
  }
}
