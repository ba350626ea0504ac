import { type Draft, type Drafter, type DraftSource, NO_DRAFT } from "./drafter.ts";

/**
 * What the model's own block predicts (multi-token prediction): one token, which the pass before has left.
 * Source: Gloeckle et al., "Better & Faster Large Language Models via Multi-token Prediction", arXiv 2404.19737.
 */
export const ownBlock: Drafter = {
  refusal: ({ predictsAhead }) =>
    predictsAhead ? undefined : "its file has no block that predicts further tokens",
  create(): DraftSource {
    let guess: number | undefined;
    return {
      push(_, next) {
        guess = next;
      },
      draft(most): Draft {
        return guess === undefined || most < 1 ? NO_DRAFT : { tokens: [guess], evidence: 0 };
      },
    };
  },
};
