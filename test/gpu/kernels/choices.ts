import type { Output } from "../../helpers/run-kernel.ts";

/** What routers write, apart: ids, slots and weights, one behind another in their buffer. */
export function splitChoices(choices: Output) {
  const count = choices.words.length / 3;
  const [ids, slots, weights] = [0, 1, 2].map((index) => {
    const [first, end] = [index * count, (index + 1) * count];
    return {
      words: choices.words.slice(first, end),
      floats: choices.floats.slice(first, end),
      before: choices.before.slice(first, end),
    };
  }) as [Output, Output, Output];
  return { ids, slots, expert_weights: weights };
}
