import { type Draft, type Drafter, type DraftSource, NO_DRAFT } from "./drafter.ts";

/** The longest runs of tokens that are looked up. */
const LONGEST_RUN = 3;

/** Agreement is counted up to this: more of it makes no draft better. */
const MOST_EVIDENCE = 8;

/** Above every token id. Two ids, or the number of a run and an id, make a key that a double holds exactly. */
const ID_RANGE = 2 ** 26;

/**
 * Copies what followed the last tokens where they stood before: source code, lists and quotations repeat themselves.
 * Source: Saxena, "Prompt Lookup Decoding" (2023).
 */
export const promptLookup: Drafter = {
  refusal: () => undefined,
  create: () => new PromptLookup(),
};

/** Runs of one length: where each was seen last. */
interface Runs {
  /** Number of the run, by its beginning's number and its last token. */
  readonly numbers: Map<number, number>;
  /** For each run the index behind its last occurrence. */
  readonly ends: number[];
}

/**
 * An index of all runs of one to three tokens, kept up to date token by token: neither pushing a token nor drafting
 * looks through the text.
 */
class PromptLookup implements DraftSource {
  readonly #tokens: number[] = [];
  readonly #runs: readonly Runs[] = Array.from({ length: LONGEST_RUN }, () => ({
    numbers: new Map<number, number>(),
    ends: [],
  }));
  /** The numbers of the runs that the text ends with, shortest first. */
  #last: number[] = [];
  /** The index behind an earlier occurrence of the longest run that the text ends with; 0: there is none. */
  #found = 0;

  push(tokens: readonly number[]): void {
    for (const token of tokens) this.#pushOne(token);
  }

  #pushOne(token: number): void {
    const end = this.#tokens.push(token);
    const last: number[] = [];
    this.#found = 0;
    for (const [index, { numbers, ends }] of this.#runs.entries()) {
      const beginning = index === 0 ? 0 : this.#last[index - 1];
      if (beginning === undefined) break;
      const key = beginning * ID_RANGE + token;
      let number = numbers.get(key);
      if (number === undefined) {
        number = numbers.size;
        numbers.set(key, number);
      } else {
        this.#found = ends[number]!;
      }
      ends[number] = end;
      last.push(number);
    }
    this.#last = last;
  }

  draft(most: number): Draft {
    const found = this.#found;
    if (found === 0 || most < 1) return NO_DRAFT;
    const period = this.#tokens.length - found;
    // Where the copy reaches the end of the text, it goes on with itself.
    const tokens = Array.from({ length: most }, (_, i) => this.#tokens[found + (i % period)]!);
    return { tokens, evidence: this.#agreement(found) };
  }

  /** How many tokens before `found` are the last tokens of the text. */
  #agreement(found: number): number {
    const tokens = this.#tokens;
    let count = 0;
    while (
      count < Math.min(MOST_EVIDENCE, found) &&
      tokens[found - 1 - count] === tokens[tokens.length - 1 - count]
    ) {
      count++;
    }
    return count;
  }
}
