import { Acceptance } from "../../speculation/acceptance.ts";
import { assumedCosts, type DraftCosts } from "../../speculation/costs.ts";
import type { Draft, DraftSource } from "../../speculation/drafter.ts";
import { draftLength } from "../../speculation/length.ts";
import { drafters } from "../../speculation/registry.ts";
import type { PassResult } from "../pass.ts";
import { VERIFY_TOKENS } from "../programs.ts";
import type { Speculation, SpeculationChoice } from "./speculation.ts";

/** A token of a reply, and the logits that it was chosen by, if they were asked for. */
export interface NextToken {
  readonly token: number;
  readonly logits: Float32Array | undefined;
}

/** What a pass over drafted tokens came to. */
export interface VerifiedPass {
  readonly pass: PassResult;
  /** Tokens of the pass that are right: the known ones, and the drafted ones up to the first that is not. */
  readonly right: number;
  /** Those of them that the caches and states hold: none, where states had to go back. */
  readonly kept: number;
}

/** What {@link Drafting} computes with; each is undefined when it was aborted. */
export interface DraftingPasses {
  /** A pass of the last token alone. */
  alone(token: number): Promise<PassResult | undefined>;
  /** A pass over tokens of which the first `known` ones are in the text. */
  verify(tokens: readonly number[], known: number): Promise<VerifiedPass | undefined>;
}

/**
 * Tokens alone between two trials of a drafter that can only draft in passes of its own: until it is known what a token
 * alone costs, after the first draft that did not pay, and at most.
 */
const REST = { unknown: 3, first: 32, most: 1024 };

/**
 * Gives the next tokens of one reply: it drafts them, lets the model compute the drafted ones in one pass, and keeps
 * those that the model would have chosen itself. So what it gives does not depend on what it drafts.
 */
export class Drafting {
  readonly #passes: DraftingPasses;
  readonly #source: DraftSource;
  readonly #acceptance = new Acceptance();
  readonly #speculation: Speculation;
  readonly #costs: DraftCosts;
  /** Only a verifying pass tells what the model's block predicts. */
  readonly #needsVerifying: boolean;
  readonly #endTokens: ReadonlySet<number>;
  readonly #vocab: number;
  /** Tokens of the text before the last one that are to be computed again, since states went back. */
  #again: readonly number[] = [];
  #last = 0;
  /** What was drafted and not computed, since it did not pay: it is watched whether it would have been right. */
  #watched:
    | { readonly draft: Draft; readonly tokens: readonly number[]; right: number }
    | undefined;
  #resting = 0;
  #rest = REST.first;

  constructor(
    choice: Exclude<SpeculationChoice, { drafter: "off" }>,
    passes: DraftingPasses,
    model: {
      readonly speculation: Speculation;
      readonly endTokens: ReadonlySet<number>;
      readonly vocab: number;
    },
  ) {
    this.#passes = passes;
    this.#source = drafters[choice.drafter].create();
    this.#needsVerifying = choice.drafter === "mtp";
    this.#speculation = model.speculation;
    this.#costs = choice.measured ? model.speculation.costs : assumedCosts;
    this.#endTokens = model.endTokens;
    this.#vocab = model.vocab;
  }

  /** Takes in the prompt and the first token of the reply, which its last pass gave. */
  start(prompt: readonly number[], first: PassResult): void {
    this.#source.push(prompt);
    this.#source.push([first.next], first.guess);
    this.#last = first.next;
  }

  /** The tokens that follow, at least one and at most `most`; undefined when it was aborted. */
  async next(most: number): Promise<readonly NextToken[] | undefined> {
    const draft = this.#worthwhile(Math.min(most - 1, VERIFY_TOKENS - 1 - this.#again.length));
    const isAlone = draft.tokens.length === 0 && this.#again.length === 0;
    if (isAlone && (!this.#needsVerifying || this.#resting > 0)) return this.#nextAlone();
    return this.#nextVerified(draft);
  }

  async #nextAlone(): Promise<readonly NextToken[] | undefined> {
    const started = performance.now();
    const pass = await this.#passes.alone(this.#last);
    if (!pass) return undefined;
    this.#speculation.costs.alone(performance.now() - started);
    if (this.#resting > 0) this.#resting--;
    this.#take([pass.next], pass.guess);
    return [{ token: pass.next, logits: pass.logits }];
  }

  async #nextVerified(draft: Draft): Promise<readonly NextToken[] | undefined> {
    const known = [...this.#again, this.#last];
    const tokens = [...known, ...draft.tokens];
    const started = performance.now();
    const verified = await this.#passes.verify(tokens, known.length);
    if (!verified) return undefined;
    this.#speculation.costs.pass(tokens.length, performance.now() - started);
    const { pass, right, kept } = verified;
    const accepted = right - known.length;
    if (draft.tokens.length > 0) {
      this.#acceptance.observe(draft, draft.tokens.length, accepted);
      this.#speculation.count(draft.tokens.length, accepted);
    }
    this.#again = kept === 0 ? tokens.slice(0, right) : [];
    const found = [...pass.verdict!.subarray(known.length - 1, right)];
    this.#take(found, pass.guess);
    return found.map((token, index) => ({
      token,
      logits: rowOf(pass.logits, known.length - 1 + index, this.#vocab),
    }));
  }

  /** What of the source's draft is worth computing. */
  #worthwhile(most: number): Draft {
    const draft = this.#source.draft(Math.min(most, VERIFY_TOKENS - 1));
    // Nothing follows a token that ends the reply.
    const end = draft.tokens.findIndex((token) => this.#endTokens.has(token));
    const tokens = end < 0 ? draft.tokens : draft.tokens.slice(0, end);
    const probability = this.#acceptance.probability(draft.evidence);
    const known = this.#again.length + 1;
    const length = draftLength(probability, tokens.length, this.#costs, known);
    if (length === 0 && tokens.length > 0) this.#leave(draft, tokens);
    return { ...draft, tokens: tokens.slice(0, length) };
  }

  /** A draft does not pay. */
  #leave(draft: Draft, tokens: readonly number[]): void {
    this.#watched ??= { draft, tokens, right: 0 };
    if (!this.#needsVerifying || this.#resting > 0) return;
    if (this.#costs.ofPass(1) === undefined) {
      this.#resting = REST.unknown;
      return;
    }
    this.#resting = this.#rest;
    this.#rest = Math.min(2 * this.#rest, REST.most);
  }

  /** Takes in tokens that were found. */
  #take(tokens: readonly number[], guess: number | undefined): void {
    this.#source.push(tokens, guess);
    this.#last = tokens.at(-1)!;
    for (const token of tokens) this.#watch(token);
  }

  #watch(token: number): void {
    const watched = this.#watched;
    if (!watched) return;
    const isRight = watched.tokens[watched.right] === token;
    if (isRight) watched.right++;
    if (isRight && watched.right < watched.tokens.length) return;
    this.#acceptance.observe(watched.draft, watched.tokens.length, watched.right);
    this.#watched = undefined;
  }
}

function rowOf(
  logits: Float32Array | undefined,
  row: number,
  vocab: number,
): Float32Array | undefined {
  return logits?.subarray(row * vocab, (row + 1) * vocab);
}
