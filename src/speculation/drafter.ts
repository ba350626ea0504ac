/** Tokens that are guessed to come next. */
export interface Draft {
  /** Empty where nothing is guessed. */
  readonly tokens: readonly number[];
  /** How good the evidence is; the drafts of one drafter with the same number are accepted about equally often. */
  readonly evidence: number;
}

/** What a drafter knows of a model. */
export interface DraftedModel {
  /** The model predicts a token beyond the next one, by a block of its own. */
  readonly predictsAhead: boolean;
}

/** Guesses the tokens of one reply. It never decides one: the model computes what it guesses, and keeps what is right. */
export interface DraftSource {
  /**
   * Tokens were appended to the text.
   *
   * @param guess what the model's own block predicts to follow them; undefined where it was not asked
   */
  push(tokens: readonly number[], guess?: number): void;
  /** At most `most` tokens that may come next. */
  draft(most: number): Draft;
}

/** A way to draft. */
export interface Drafter {
  /** Why it cannot draft for a model, as the end of a sentence; undefined if it can. */
  refusal(model: DraftedModel): string | undefined;
  /** For one reply, which starts with an empty text. */
  create(): DraftSource;
}

/** Nothing is guessed. */
export const NO_DRAFT: Draft = { tokens: [], evidence: 0 };
