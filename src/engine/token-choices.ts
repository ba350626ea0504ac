import type { MoeSpec } from "../ops/ops.ts";

/**
 * Remembers, by token id, the choices of the first layers whose routers see nothing but the token: all layers with hash
 * routing, and the first one where routers read the residual stream before attention. A token that was computed once
 * needs no reading of its choice again.
 */
export class TokenChoices {
  readonly #topK: readonly number[]; // of those layers
  readonly #known = new Map<number, readonly Uint32Array[]>();

  constructor(moe: readonly MoeSpec[]) {
    const others = moe.findIndex((spec) => !seesTokenOnly(spec));
    this.#topK = moe.slice(0, others < 0 ? moe.length : others).map(({ topK }) => topK);
  }

  /** Takes in what a pass chose: for each MoE layer `[tokens, topK]`. */
  learn(tokens: readonly number[], ids: readonly Uint32Array[]): void {
    if (this.#topK.length === 0) return;
    for (const [index, token] of tokens.entries()) {
      if (this.#known.has(token)) continue;
      const choices = this.#topK.map((topK, moe) =>
        ids[moe]!.slice(index * topK, (index + 1) * topK),
      );
      this.#known.set(token, choices);
    }
  }

  /** The choices of the first layers for a token; empty when it is not known. */
  of(token: number): readonly Uint32Array[] {
    return this.#known.get(token) ?? [];
  }
}

function seesTokenOnly({ routerInput, layer }: MoeSpec): boolean {
  return routerInput === "token" || (routerInput === "pre-attention" && layer === 0);
}
