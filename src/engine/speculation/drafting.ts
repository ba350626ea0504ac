import { Acceptance } from "../../speculation/acceptance.ts";
import { assumedCosts, type DraftCosts } from "../../speculation/costs.ts";
import type { Draft, DraftSource } from "../../speculation/drafter.ts";
import { draftLength } from "../../speculation/length.ts";
import { drafters } from "../../speculation/registry.ts";
import {
  choosingOf,
  GpuTokens,
  type NextToken,
  type NextTokens,
  type NextTokensParts,
  runPass,
  unlessAborted,
} from "../next-tokens.ts";
import type { PassResult } from "../pass.ts";
import { VERIFY_TOKENS } from "../programs.ts";
import type { Speculation, SpeculationChoice } from "./speculation.ts";

/** What a pass over drafted tokens came to. */
export interface VerifiedPass {
  readonly pass: PassResult;
  /** Tokens of the pass that are right: the known ones, and the drafted ones up to the first that is not. */
  readonly right: number;
  /** Those of them that the caches and states hold: none, where states had to go back. */
  readonly kept: number;
}

/** How the tokens of one reply are drafted. */
export interface DraftingOptions {
  readonly choice: Exclude<SpeculationChoice, { drafter: "off" }>;
  readonly endTokens: ReadonlySet<number>;
  /** The logits of each token are wanted. */
  readonly logits: boolean;
}

/**
 * Tokens alone between two trials of a drafter that can only draft in passes of its own: until it is known what a token
 * alone costs, after the first draft that did not pay, and at most.
 */
const REST = { unknown: 3, first: 32, most: 1024 };

/**
 * Gives the next tokens of one reply: it drafts them, lets the model compute the drafted ones in one pass, and keeps
 * those that the model would have chosen itself. So what it gives does not depend on what it drafts. Where it drafts
 * nothing, several tokens alone are in flight, as ever; a pass over drafted tokens waits for them.
 */
export class Drafting implements NextTokens {
  readonly #parts: NextTokensParts;
  readonly #source: DraftSource;
  readonly #acceptance = new Acceptance();
  readonly #speculation: Speculation;
  readonly #costs: DraftCosts;
  /** Only a verifying pass tells what the model's block predicts. */
  readonly #needsVerifying: boolean;
  readonly #endTokens: ReadonlySet<number>;
  readonly #logits: boolean;
  /** The first token, until it is given out. */
  #first: NextToken | undefined;
  /** Tokens alone, while there are some. */
  #flight: GpuTokens | undefined;
  /** Tokens of the text before the last one that are to be computed again, since states went back. */
  #again: readonly number[] = [];
  #last: number;
  /** What was drafted and not computed, since it did not pay: it is watched whether it would have been right. */
  #watched:
    | { readonly draft: Draft; readonly tokens: readonly number[]; right: number }
    | undefined;
  #resting = 0;
  #rest = REST.first;

  /** @param prompted the prompt's last pass, with its logits if they are wanted */
  constructor(
    parts: NextTokensParts,
    prompted: PassResult,
    { choice, endTokens, logits }: DraftingOptions,
  ) {
    const { speculation } = parts.model;
    this.#parts = parts;
    this.#source = drafters[choice.drafter].create();
    this.#needsVerifying = choice.drafter === "mtp";
    this.#speculation = speculation;
    this.#costs = choice.measured ? speculation.costs : assumedCosts;
    this.#endTokens = endTokens;
    this.#logits = logits;
    this.#source.push(parts.promptTokens);
    this.#source.push([prompted.next], prompted.guess);
    this.#first = { token: prompted.next, logits: prompted.logits };
    this.#last = prompted.next;
  }

  async next(wanted: number): Promise<readonly NextToken[] | undefined> {
    if (this.#first) {
      const first = this.#first;
      this.#first = undefined;
      return [first];
    }
    const draft = this.#worthwhile(Math.min(wanted - 1, VERIFY_TOKENS - 1 - this.#again.length));
    const isAlone = draft.tokens.length === 0 && this.#again.length === 0;
    if (isAlone && (!this.#needsVerifying || this.#resting > 0)) return this.#nextAlone(wanted);
    // What is under way comes first: then there is something else to be drafted.
    if (this.#flight?.busy) return this.#nextAlone(0);
    this.close();
    return this.#nextVerified(draft);
  }

  close(): void {
    this.#flight?.close();
    this.#flight = undefined;
  }

  async #nextAlone(wanted: number): Promise<readonly NextToken[] | undefined> {
    const started = performance.now();
    const found = this.#logits ? await this.#nextWithLogits() : await this.#nextInFlight(wanted);
    if (!found) return undefined;
    this.#speculation.costs.alone(performance.now() - started);
    if (this.#resting > 0) this.#resting--;
    this.#take([found.token], undefined);
    return [found];
  }

  async #nextWithLogits(): Promise<NextToken | undefined> {
    const pass = await runPass(this.#parts, [this.#last], { logits: true });
    return pass && { token: pass.next, logits: pass.logits };
  }

  async #nextInFlight(wanted: number): Promise<NextToken | undefined> {
    this.#flight ??= await this.#takeOff();
    const found = await this.#flight.next(wanted);
    return found?.[0];
  }

  async #takeOff(): Promise<GpuTokens> {
    const { model, history, exclusive } = this.#parts;
    // The pass before may have been one over drafted tokens, which leaves the next token to the host.
    await exclusive(async () => choosingOf(model).goOn(this.#last, history.length));
    return new GpuTokens(this.#parts, { token: this.#last, chooser: "top", given: true });
  }

  async #nextVerified(draft: Draft): Promise<readonly NextToken[] | undefined> {
    const known = [...this.#again, this.#last];
    const tokens = [...known, ...draft.tokens];
    const started = performance.now();
    const verified = await this.#verify(tokens, known.length);
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
      logits: rowOf(pass.logits, known.length - 1 + index, this.#parts.model.spec.vocab),
    }));
  }

  /** One pass over drafted tokens at the end of the history, which keeps those that are right; undefined when aborted. */
  async #verify(tokens: readonly number[], known: number): Promise<VerifiedPass | undefined> {
    const { model, history, signal, exclusive, recorder } = this.#parts;
    const position = history.length;
    const options = { logits: this.#logits, signal };
    const verified = await unlessAborted(signal, () =>
      history.compute(
        tokens,
        () => exclusive(() => choosingOf(model).verify(tokens, known, position, options)),
        ({ kept }) => kept,
      ),
    );
    if (!verified) return undefined;
    if (verified.kept === 0) history.restored();
    recorder?.record(tokens, verified.pass.ids);
    return verified;
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
