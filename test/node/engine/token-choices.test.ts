import { expect, test } from "vitest";
import { TokenChoices } from "../../../src/engine/token-choices.ts";
import type { MoeSpec, RouterInput } from "../../../src/ops/ops.ts";

/** Three MoE layers, the first of them layer `first` of the model. */
function layers(routerInput: RouterInput, first = 0): MoeSpec[] {
  return [0, 1, 2].map((moe) => ({ layer: first + moe, topK: 2, routerInput }) as MoeSpec);
}

/** A pass of two tokens. */
const CHOSEN = [Uint32Array.of(1, 2, 3, 4), Uint32Array.of(5, 6, 7, 8), Uint32Array.of(9, 1, 2, 3)];

test.for<[RouterInput, number, number]>([
  ["token", 0, 3],
  ["pre-attention", 0, 1],
  ["pre-attention", 1, 0],
  ["post-attention", 0, 0],
  ["previous-layer", 0, 0],
  ["decoupled", 0, 0],
])("%s from layer %i on: the token tells the choice of %i layers", ([input, first, known]) => {
  const choices = new TokenChoices(layers(input, first));

  choices.learn([40, 50], CHOSEN);

  expect(choices.of(50)).toEqual(CHOSEN.slice(0, known).map((ids) => ids.slice(2)));
  expect(choices.of(60)).toEqual([]);
});
