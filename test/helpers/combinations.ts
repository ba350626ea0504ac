import fc from "fast-check";
import { evictionPolicies } from "../../src/experts/policies/registry.ts";
import { predictors } from "../../src/experts/predictors/registry.ts";
import type { Budgets, LoadOptions, Prompt, TokenChunk } from "../../src/rpc/api.ts";
import { pacingRules } from "../../src/scheduler/pacing/registry.ts";

/** Tokens of a reply. */
export const REPLY_TOKENS = 10;

/** A change of budgets behind so many tokens of a reply. */
export interface Change {
  readonly after: number;
  readonly budgets: Budgets;
}

/** Of 16 experts, from what a token uses (4 of them) to all. */
const gpuShare = fc.integer({ min: 4, max: 16 }).map((slots) => `${(100 * slots) / 16}%`);
const lowerShare = fc.constantFrom("0%", "20%", "60%", "100%");
const guesses = Object.entries(predictors).filter(([, { kind }]) => kind === "guess");
const names = <Name extends string>(registry: Record<Name, unknown>) =>
  fc.constantFrom(...(Object.keys(registry) as Name[]));

/** Options of memory and of time, none of which may matter. */
export const memoryOptions: fc.Arbitrary<LoadOptions> = fc.record(
  {
    gpuBudget: gpuShare,
    ramBudget: lowerShare,
    diskBudget: lowerShare,
    policy: names(evictionPolicies),
    pacing: names(pacingRules),
    predictor: fc.constantFrom(
      "auto" as const,
      "none" as const,
      ...guesses.map(([name]) => name as keyof typeof predictors),
    ),
    fill: fc.constantFrom("background" as const, "wait" as const, "off" as const),
  },
  { requiredKeys: [] },
);

/** Changes of budgets during a reply. */
export const budgetChanges: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.record({
    after: fc.integer({ min: 1, max: REPLY_TOKENS - 1 }),
    budgets: fc.record({ gpu: gpuShare, ram: lowerShare, disk: lowerShare }, { requiredKeys: [] }),
  }),
  { maxLength: 3 },
);

/** What replies come from: an engine, or a worker's. */
interface Replying {
  generate(prompt: Prompt, options: { readonly maxTokens: number }): AsyncIterable<TokenChunk>;
  setBudget(budgets: Budgets): Promise<unknown>;
}

/** A greedy reply, with changes of the budgets after some of its tokens. */
export async function replyWith(
  engine: Replying,
  prompt: Prompt,
  changes: readonly Change[] = [],
): Promise<number[]> {
  const tokens: number[] = [];
  const made: Promise<unknown>[] = [];
  for await (const chunk of engine.generate(prompt, { maxTokens: REPLY_TOKENS })) {
    tokens.push(...chunk.tokens);
    for (const { after, budgets } of changes) {
      if (after === tokens.length) made.push(engine.setBudget(budgets));
    }
  }
  await Promise.all(made);
  return tokens;
}
