import type { PolicyContext } from "./policy.ts";

/**
 * On routers that keep their experts (the bundled model, half and a quarter of them cached) 4 to 8 passes hit 2 points
 * more than 32, and on nearly uniform ones (Sluice Tiny) 8 to 128 hit alike, as 16 to 128 do for openTPU (docs/offload.md).
 */
export const DEFAULT_HALF_LIFE_PASSES = 8;

/**
 * How often each expert was used, later uses counting more: the sum over its uses of `2^(-age / halfLife)`, age in
 * passes. It is proportional to the probability that the next pass uses the expert, if that drifts slowly.
 */
export class DecayedFrequency {
  // log2 of the sum as it stood at request 0: every sum decays alike, so only what is used changes.
  readonly #scores: Float64Array; // [experts]
  readonly #halfLifeRequests: number;
  #requests = 0;

  /** @param halfLifePasses `Infinity` never forgets */
  constructor({ experts, requestsPerPass = 1 }: PolicyContext, halfLifePasses: number) {
    this.#scores = new Float64Array(experts).fill(-Infinity);
    this.#halfLifeRequests = halfLifePasses * requestsPerPass;
  }

  /** Distinct experts of one request. */
  use(experts: readonly number[]): void {
    const credit = ++this.#requests / this.#halfLifeRequests;
    for (const expert of experts) {
      this.#scores[expert] = credit + Math.log2(1 + 2 ** (this.#scores[expert]! - credit));
    }
  }

  /** log2 of the sum, up to a term that all experts share; -Infinity for one that was never used. */
  score(expert: number): number {
    return this.#scores[expert]!;
  }
}

/** Negative, 0 or positive, infinities included. */
export function compareScores(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
