import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import type {
  ExpertGuess,
  Guesser,
  GuessingPredictor,
  Predictor,
  RoutingShape,
} from "../../../src/experts/predictors/predictor.ts";
import {
  defaultPredictor,
  type PredictorName,
  predictorFor,
  predictors,
} from "../../../src/experts/predictors/registry.ts";
import { runs } from "../../helpers/random-cases.ts";

const named = Object.entries(predictors) as [PredictorName, Predictor][];
const guessing = named.flatMap(([name, predictor]) =>
  predictor.kind === "guess" ? [{ name, predictor }] : [],
);
const exact = named.flatMap(([name, predictor]) =>
  predictor.kind === "exact" ? [{ name, routerInput: predictor.routerInput }] : [],
);

const EXPERTS = 8;
const TOP_K = 2;
const LAYERS = 3;
const SHAPE: RoutingShape = { pools: [0, 1, 1], experts: EXPERTS, topK: TOP_K };

/** A pass: its tokens, what they chose in each layer, and what the routers would have said a layer earlier. */
interface Pass {
  readonly tokens: readonly number[];
  readonly ids: readonly (readonly number[])[];
  readonly gpuGuesses: readonly (readonly number[])[];
}

const choice = fc.uniqueArray(fc.nat(EXPERTS - 1), { minLength: TOP_K, maxLength: TOP_K });
const anyPass: fc.Arbitrary<Pass> = fc
  .array(fc.nat(5), { minLength: 1, maxLength: 3 })
  .chain((tokens) => {
    const chosen = fc
      .array(choice, { minLength: tokens.length, maxLength: tokens.length })
      .map((choices) => choices.flat());
    const layers = fc.array(chosen, { minLength: LAYERS, maxLength: LAYERS });
    const gpuGuesses = fc.array(choice, { minLength: LAYERS, maxLength: LAYERS });
    return fc.record({ tokens: fc.constant(tokens), ids: layers, gpuGuesses });
  });

/** Asks as the engine does, for a pass of one token, and returns each answer. */
function guessesOf(guesser: Guesser, { tokens, ids, gpuGuesses }: Pass): ExpertGuess[][] {
  if (tokens.length > 1) return [];
  const answers = [[...guesser.beforePass(tokens[0]!)]];
  for (let moe = 0; moe < LAYERS; moe++) {
    answers.push([...guesser.beforeLayer(moe, ids.slice(0, moe), gpuGuesses[moe])]);
  }
  return answers;
}

function play(guesser: Guesser, passes: readonly Pass[]): ExpertGuess[][] {
  return passes.flatMap((pass) => {
    const answers = guessesOf(guesser, pass);
    guesser.observe(pass.tokens, pass.ids);
    return answers;
  });
}

describe.for(guessing)("$name", ({ predictor }) => {
  test("gives distinct guesses that exist, most probable first", () => {
    fc.assert(
      fc.property(fc.array(anyPass, { maxLength: 30 }), (passes) => {
        for (const guesses of play(predictor.create(SHAPE), passes)) {
          const keys = guesses.map(({ moe, expert }) => `${moe}/${expert}`);
          expect(new Set(keys).size).toBe(keys.length);
          const probabilities = guesses.map(({ probability }) => probability);
          expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
          for (const { moe, expert, probability } of guesses) {
            expect(moe >= 0 && moe < LAYERS && Number.isInteger(moe)).toBe(true);
            expect(expert >= 0 && expert < EXPERTS && Number.isInteger(expert)).toBe(true);
            expect(probability >= 0 && probability <= 1).toBe(true);
          }
        }
      }),
      { numRuns: runs(150) },
    );
  });

  test("gives the same guesses again for the same passes", () => {
    fc.assert(
      fc.property(fc.array(anyPass, { maxLength: 30 }), (passes) => {
        const first = play(predictor.create(SHAPE), passes);

        expect(play(predictor.create(SHAPE), passes)).toEqual(first);
      }),
      { numRuns: runs(50) },
    );
  });

  test("guesses only with the lead that it says it has", () => {
    fc.assert(
      fc.property(fc.array(anyPass, { minLength: 1, maxLength: 12 }), (passes) => {
        const guesser = predictor.create(SHAPE);
        for (const pass of passes) {
          const [before = [], ...layers] = guessesOf(guesser, pass);
          if (predictor.lead === "layer") expect(before).toEqual([]);
          else expect(layers.flat()).toEqual([]);
          for (const [moe, guesses] of layers.entries()) {
            expect(guesses.every((guess) => guess.moe === moe)).toBe(true);
          }
          guesser.observe(pass.tokens, pass.ids);
        }
      }),
      { numRuns: runs(50) },
    );
  });

  test("learns text that repeats itself: what it names first comes true, and it says so", () => {
    const pass: Pass = {
      tokens: [3],
      ids: [
        [1, 2],
        [4, 5],
        [6, 0],
      ],
      gpuGuesses: [
        [1, 2],
        [4, 5],
        [6, 0],
      ],
    };
    const guesser = predictor.create(SHAPE);
    play(guesser, Array<Pass>(80).fill(pass));

    const guesses = guessesOf(guesser, pass).flat();

    const wanted = pass.ids.flatMap((chosen, moe) => chosen.map((expert) => `${moe}/${expert}`));
    const certain = guesses.filter(({ probability }) => probability > 0.6);
    expect(certain.map(({ moe, expert }) => `${moe}/${expert}`).sort()).toEqual(wanted.sort());
  });
});

/** A guesser that has seen `passes`, each written as token and the choices of every layer. */
function taught(
  predictor: GuessingPredictor,
  passes: readonly (readonly [token: number, ...ids: number[][]])[],
): Guesser {
  const guesser = predictor.create(SHAPE);
  for (const [token, ...ids] of passes) guesser.observe([token], ids);
  return guesser;
}

describe("previous-token", () => {
  test("names what the last token of a prompt chose", () => {
    const guesser = predictors["previous-token"].create(SHAPE);
    guesser.observe(
      [7, 8],
      [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [0, 2, 1, 3],
      ],
    );

    const named = guesser.beforePass(9).map(({ moe, expert }) => [moe, expert]);

    expect(named).toEqual([
      [0, 2],
      [0, 3],
      [1, 6],
      [1, 7],
      [2, 1],
      [2, 3],
    ]);
  });

  test("trusts the rank that repeats more than the one that changes", () => {
    const guesser = taught(
      predictors["previous-token"],
      Array.from({ length: 12 }, (_, pass) => [0, [1, 2 + (pass % 4)], [3, 4], [5, 6]]),
    );

    const [best, , worst] = [0, 1, 2].map((at) => guesser.beforePass(0)[at]!);
    const changing = guesser.beforePass(0).find(({ moe, expert }) => moe === 0 && expert !== 1)!;

    expect(best!.probability).toBeGreaterThan(0.9);
    expect(changing.probability).toBeLessThan(0.2);
    expect(worst!.probability).toBeGreaterThan(changing.probability);
  });
});

describe("token-table", () => {
  test("names what the same token chose, not what the token before it did", () => {
    const guesser = taught(predictors["token-table"], [
      [10, [0, 1], [2, 3], [4, 5]],
      [11, [6, 7], [6, 7], [6, 7]],
    ]);

    const named = guesser.beforePass(10).map(({ moe, expert }) => `${moe}/${expert}`);

    expect(named.sort()).toEqual(["0/0", "0/1", "1/2", "1/3", "2/4", "2/5"]);
    expect(guesser.beforePass(12)).toEqual([]);
  });

  test("is as sure as the last four occurrences and one of chance allow", () => {
    const guesser = taught(
      predictors["token-table"],
      Array.from({ length: 9 }, (_, pass) => [10, [1, pass < 7 ? 2 : 3], [0, 1], [0, 1]]),
    );

    const layer = guesser.beforePass(10).filter(({ moe }) => moe === 0);

    // Four times, then twice each of the last four; chance counts for one occurrence at 2 of 8.
    expect(layer).toEqual([
      { moe: 0, expert: 1, probability: 4.25 / 5 },
      { moe: 0, expert: 2, probability: 2.25 / 5 },
      { moe: 0, expert: 3, probability: 2.25 / 5 },
    ]);
  });

  test("forgets the token seen longest ago when it knows 4096", () => {
    const guesser = predictors["token-table"].create({ pools: [0], experts: 2, topK: 1 });
    for (let token = 0; token < 4097; token++) guesser.observe([token], [[1]]);

    expect(guesser.beforePass(0)).toEqual([]);
    expect(guesser.beforePass(1)).toHaveLength(1);
  });
});

describe("activation-history", () => {
  const cats: [number, ...number[][]] = [0, [0, 1], [0, 1], [0, 1]];
  const dogs: [number, ...number[][]] = [0, [6, 7], [6, 7], [6, 7]];

  test("recalls the passage that the present one is like", () => {
    const guesser = taught(predictors["activation-history"], [
      ...Array<typeof cats>(64).fill([0, [0, 1], [2, 3], [0, 1]]),
      ...Array<typeof dogs>(64).fill([0, [6, 7], [4, 5], [6, 7]]),
      [0, [0, 1], [2, 3], [0, 1]],
    ]);

    const named = guesser.beforePass(0).map(({ moe, expert }) => `${moe}/${expert}`);

    expect(named.sort()).toEqual(["0/0", "0/1", "1/2", "1/3", "2/0", "2/1"]);
  });

  test("adds the present passage to its past", () => {
    const guesser = taught(predictors["activation-history"], [cats, cats, cats, dogs]);

    const first = guesser.beforePass(0)[0];
    const last = guesser.beforePass(0).at(-1);

    expect(first).toEqual({ moe: 0, expert: 0, probability: 0.75 });
    expect(last).toEqual({ moe: 2, expert: 7, probability: 0.25 });
  });
});

describe("next-layer", () => {
  test("names what the next layer's router said, and trusts it as it deserves", () => {
    const guesser = predictors["next-layer"].create(SHAPE);
    for (let pass = 0; pass < 20; pass++) {
      guesser.beforeLayer(1, [[0, 1]], [2, 3]);
      guesser.observe(
        [0],
        [
          [0, 1],
          [2, 7],
          [0, 1],
        ],
      );
    }

    const [sure, unsure] = guesser.beforeLayer(1, [[0, 1]], [4, 5]);

    expect([sure!.expert, unsure!.expert]).toEqual([4, 5]);
    expect(sure!.probability).toBeGreaterThan(0.9);
    expect(unsure!.probability).toBeLessThan(0.1);
  });

  test("says nothing where the GPU computed no guess", () => {
    expect(predictors["next-layer"].create(SHAPE).beforeLayer(1, [[0, 1]])).toEqual([]);
  });
});

describe("exact predictors", () => {
  test.for(exact)("$name is the default of its router input", ({ name, routerInput }) => {
    expect(defaultPredictor(routerInput)).toBe(name);
    expect(predictorFor(name, routerInput)).toBe(predictors[name]);
  });

  test("nothing is known ahead of a router after attention", () => {
    expect(defaultPredictor("post-attention")).toBe("none");
  });

  test.for(exact)("$name is refused for every other router input", ({ name, routerInput }) => {
    const inputs = [...exact.map((other) => other.routerInput), "post-attention" as const];
    for (const other of inputs.filter((input) => input !== routerInput)) {
      expect(() => predictorFor(name, other)).toThrow(SluiceError);
      expect(() => predictorFor(name, other)).toThrow(`"${name}" knows routers whose input is`);
    }
  });

  test.for(guessing)("$name, which only guesses, serves any router", ({ name, predictor }) => {
    expect(predictorFor(name, "post-attention")).toBe(predictor);
    expect(predictorFor(name, "pre-attention")).toBe(predictor);
  });
});
