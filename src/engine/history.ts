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
  #passes: ComputedPass[] = [];

  /** Tokens that the cache holds. */
  get length(): number {
    const last = this.#passes.at(-1);
    return last ? last.position + last.tokens.length : 0;
  }

  /** Keeps the passes that `prompt` begins with, at most all but its last token; how many tokens that is. */
  reuse(prompt: readonly number[]): number {
    const kept = this.#passes.findIndex(
      ({ position, tokens }) =>
        position + tokens.length >= prompt.length ||
        tokens.some((token, index) => prompt[position + index] !== token),
    );
    if (kept >= 0) this.#passes.length = kept;
    return this.length;
  }

  /** The pass at `length` has been computed. */
  append(tokens: readonly number[]): void {
    this.#passes.push({ position: this.length, tokens: [...tokens] });
  }

  clear(): void {
    this.#passes = [];
  }
}
