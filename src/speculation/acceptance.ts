import type { Draft } from "./drafter.ts";

/** What an earlier draft counts beside the next one of its kind: about the last ten decide. */
const MEMORY = 0.9;

/** Drafts that what is assumed of a kind counts as, until there are some. */
const ASSUMED_DRAFTS = 2;

/** How often a token is right that nothing is known of: the model's own block was trained to be. */
const OWN_BLOCK = 0.7;

/** How often drafted tokens are right, for each kind of evidence: the probability that one is, if all before it are. */
export class Acceptance {
  readonly #kinds = new Map<number, { right: number; tried: number }>();

  /** @param evidence see `Draft.evidence` */
  probability(evidence: number): number {
    const { right = 0, tried = 0 } = this.#kinds.get(evidence) ?? {};
    return (right + ASSUMED_DRAFTS * assumed(evidence)) / (tried + ASSUMED_DRAFTS);
  }

  /** Of the first `drafted` tokens of a draft, `accepted` were right. */
  observe({ evidence }: Pick<Draft, "evidence">, drafted: number, accepted: number): void {
    if (drafted < 1) return;
    const { right = 0, tried = 0 } = this.#kinds.get(evidence) ?? {};
    this.#kinds.set(evidence, {
      right: MEMORY * right + accepted,
      // Whether a token behind a wrong one would have been right is not known.
      tried: MEMORY * tried + Math.min(drafted, accepted + 1),
    });
  }
}

/** The longer the run that stood before, the likelier it goes on alike: 1 in 4 for one token, 8 in 11 for eight. */
function assumed(evidence: number): number {
  return evidence === 0 ? OWN_BLOCK : evidence / (evidence + 3);
}
