/** One pass that was computed: its tokens, whose keys and values are in the cache. */
interface ComputedPass {
  readonly position: number;
  readonly tokens: readonly number[];
}

/**
 * What the KV cache holds, pass by pass, so that a prompt that begins like the last conversation is not computed again.
 * Only whole passes are reused: keys computed in another grouping of tokens may differ in their last bits, and the same
 * prompt must give the same tokens.
 */
export class History {
  readonly #earliestReturn: (writtenTokens: number, stateTokens: number) => number;
  #passes: ComputedPass[] = [];
  /** Tokens written to the caches since they were begun anew: also those of passes that failed or were taken back. */
  #writtenTokens = 0;
  /** Tokens that recurrent states were advanced by. */
  #stateTokens = 0;

  /**
   * @param earliestReturn the earliest position above 0 from which the caches can go on when so many tokens have been
   * written to them, and so many are in recurrent states
   */
  constructor(earliestReturn: (writtenTokens: number, stateTokens: number) => number) {
    this.#earliestReturn = earliestReturn;
  }

  /** Tokens that the cache holds. */
  get length(): number {
    const last = this.#passes.at(-1);
    return last ? last.position + last.tokens.length : 0;
  }

  /**
   * Keeps the passes that `prompt` begins with, at most all but its last token, or none where the caches cannot go back
   * so far; how many tokens that is.
   */
  reuse(prompt: readonly number[]): number {
    const kept = this.#passes.findIndex(
      ({ position, tokens }) =>
        position + tokens.length >= prompt.length ||
        tokens.some((token, index) => prompt[position + index] !== token),
    );
    if (kept >= 0) this.#passes.length = kept;
    if (this.length < this.#earliestReturn(this.#writtenTokens, this.#stateTokens)) this.clear();
    return this.length;
  }

  /**
   * Computes a pass over `tokens` at `length`, which belongs to the history once it has succeeded.
   *
   * @param keptOf how many of the tokens are right, once the pass is done; all of them unless some were drafted
   */
  async compute<Result>(
    tokens: readonly number[],
    pass: () => Promise<Result>,
    keptOf: (result: Result) => number = () => tokens.length,
  ): Promise<Result> {
    this.wrote(this.length + tokens.length);
    const result = await pass();
    const kept = keptOf(result);
    if (kept > 0) this.#passes.push({ position: this.length, tokens: tokens.slice(0, kept) });
    return result;
  }

  /** A pass over `tokens` at `length` was computed. */
  add(tokens: readonly number[]): void {
    const position = this.length;
    this.wrote(position + tokens.length);
    this.#passes.push({ position, tokens: [...tokens] });
  }

  /** Tokens up to position `end` may have been written, by passes that are no part of the history. */
  wrote(end: number): void {
    this.#stateTokens = end;
    this.#writtenTokens = Math.max(this.#writtenTokens, end);
  }

  /** Recurrent states are again those after the last token of the history. */
  restored(): void {
    this.#stateTokens = this.length;
  }

  clear(): void {
    this.#passes = [];
    this.#writtenTokens = 0;
    this.#stateTokens = 0;
  }
}
