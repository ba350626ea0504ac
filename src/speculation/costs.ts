/** What passes cost beside a token that is computed alone. */
export interface DraftCosts {
  /** Of a pass over `tokens` tokens, the first of them known, in units of a token alone; undefined: not known yet. */
  ofPass(tokens: number): number | undefined;
}

/** What one more token adds to a pass, where nothing is measured. */
const ASSUMED_TOKEN = 0.2;

/** For who wants drafts whatever they cost here, and the same ones each time. */
export const assumedCosts: DraftCosts = { ofPass: (tokens) => 1 + ASSUMED_TOKEN * (tokens - 1) };

/** Weight of a new measurement that is lower than what is known, and of one that is higher. */
const NEWEST = { lower: 0.5, higher: 1 };

/** Weight of a token alone. */
const ALONE = 0.3;

/** Times of its tokens alone that a pass is taken to cost at most. */
const MOST = 1.5;

/**
 * What each token alone takes off what is known of longer passes, toward what one token costs: a pass that was slow once
 * is tried again after some hundred tokens, which costs a hundredth of the time or two at worst.
 */
const FORGOTTEN = 0.001;

/** Times of tokens alone and of passes over several, as they were measured. */
export class MeasuredCosts implements DraftCosts {
  #aloneMs: number | undefined;
  readonly #passMs = new Map<number, number>();
  #isWarm = false;

  /** A token was computed alone. */
  alone(ms: number): void {
    const before = this.#aloneMs ?? ms;
    // What other work slows down, or a load that is waited for, is not the usual cost of a token.
    this.#aloneMs = before + ALONE * (Math.min(ms, 2 * before) - before);
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
    // A pass that takes much longer than its tokens alone was held up by something else.
    const took = Math.min(ms, MOST * tokens * (this.#aloneMs ?? ms));
    const before = this.#passMs.get(tokens) ?? took;
    const weight = took < before ? NEWEST.lower : NEWEST.higher;
    this.#passMs.set(tokens, before + weight * (took - before));
  }

  /**
   * Lengths lie on lines between those that were measured, of which a token alone is one; a longer pass lies on the line
   * through it and the longest one. Before any was measured a pass costs no more than a token, so that one is tried.
   */
  ofPass(tokens: number): number | undefined {
    const alone = this.#aloneMs;
    if (alone === undefined) return undefined;
    const known = [...this.#passMs].filter(([count]) => count > 1).sort(([a], [b]) => a - b);
    const above = known.find(([count]) => count >= tokens) ?? known.at(-1);
    if (!above || tokens <= 1) return 1;
    const below = known.findLast(([count]) => count <= Math.min(tokens, above[0] - 1));
    const [from, fromMs] = below ?? [1, alone];
    const ms = fromMs + ((tokens - from) / (above[0] - from)) * (above[1] - fromMs);
    return Math.max(1, ms / alone);
  }
}
