import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { combine } from "../../../src/kernels/combine.ts";
import { expertDown } from "../../../src/kernels/expert_down.ts";
import { choiceConstants, expertSum } from "../../../src/kernels/expert_sum.ts";
import {
  inputParts,
  rowDotsConstants,
  rowDotsParts,
  sharedParts,
  variants,
} from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertSumReference } from "../../reference/kernels/expert_down.ts";
import { ABSENT, randomArena } from "./arena.ts";
import {
  formatCases,
  leastCols,
  plants,
  randomInput,
  randomMatrix,
  someCols,
  variantCases,
} from "./cases.ts";

const NUM_RUNS = runs(3);
const ARENA = { first: 0, slots: 3 };
/** The last two are none of the arena's. */
const SLOTS = [0, 1, 2, 3, ABSENT];
/** A layer without shared experts. */
const UNSHARED = {
  shared_ffn: 0,
  shared_first: 0,
  shared_weights_first: 0,
  shared_scale: 0,
  weights_first: 0,
  apart_first: 0,
} as const;
/** No shared experts, some that count whole, some that count by a number of their token, some that stay apart. */
const SHARED = [0, 1, 2, 3];

/** The parts that read the experts' down and that of shared experts. */
function loaders(down: WeightFormat, shared: WeightFormat | undefined): readonly string[] {
  return [
    ...rowDotsParts(down, "down"),
    ...(shared
      ? [...rowDotsParts(shared, "shared_down", { binding: 1 }), sharedParts.down]
      : [sharedParts.noDown]),
    inputParts.plain,
  ];
}

const DISTINCT = formatCases.slice(0, -1);

/** Every variant with every kind of shared experts, without and with biases; formats in turn, for the shared ones the next. */
const CASES = [false, true]
  .flatMap((biased) => variantCases.map((each) => ({ ...each, biased })))
  .flatMap((each) => SHARED.map((shared) => ({ ...each, shared })))
  .map(({ name, variant, shared, biased }, index) => {
    const { format } = DISTINCT[index % DISTINCT.length]!;
    const sharedFormat = DISTINCT[(index + 1) % DISTINCT.length]!.format;
    const beside = shared === 0 ? "" : ` beside ${sharedFormat.name}`;
    const title = `${format.name}${beside}, ${name}, SHARED ${shared}${biased ? ", biases" : ""}`;
    return { variant, shared, biased, format, sharedFormat, title };
  });

describe.for(CASES)("expert_sum, $title", ({ format, sharedFormat, variant, ...kind }) => {
  const { shared, biased } = kind;
  const { reduce } = variant.experts;
  const constants = rowDotsConstants(variant.experts);
  const parts = [...loaders(format, shared === 0 ? undefined : sharedFormat), reduce];

  kernelTest("agrees with f64; what is absent counts nothing", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(1, 3, 13, 65),
      ffn: fc.constantFrom(...someCols(format)),
      sharedFfn: fc.constantFrom(leastCols(sharedFormat), 3 * leastCols(sharedFormat)),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 1, max: 3 }),
      routingFirst: fc.constantFrom(0, 5),
      plant: fc.constantFrom(...plants),
      hasResidual: fc.boolean(),
      sharedScale: fc.constantFrom(1, -2.5),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { hidden, ffn, topK, tokens, routingFirst, plant, hasResidual, seed } = drawn;
        const random = createRandom(seed);
        const pairs = tokens * topK;
        // A token past the last has slots and weights too.
        const choices = routingFirst + pairs + topK;
        const slots = Uint32Array.from(
          { length: choices },
          () => SLOTS[random.integer(SLOTS.length)]!,
        );
        const weights = randomInput(random, choices);
        const arena = randomArena(random, [format, format], ARENA, {
          rows: hidden,
          cols: ffn,
          biases: biased ? 2 : 0,
        });
        const sharedFfn = shared === 0 ? 0 : drawn.sharedFfn;
        const down = randomMatrix(random, sharedFormat, hidden, sharedFfn);
        const sharedFirst = (pairs + topK) * ffn;
        const sharedWeightsFirst = sharedFirst + (tokens + 1) * sharedFfn;
        const x = randomInput(random, sharedWeightsFirst + 4 * tokens, plant);
        const apartFirst = (tokens + 1) * hidden;
        const residual = hasResidual
          ? randomInput(random, tokens * hidden)
          : new Float32Array(tokens * hidden);

        const { y } = await run(expertSum, {
          params: {
            hidden,
            ffn,
            top_k: topK,
            routing_first: routingFirst,
            weights_first: routingFirst,
            slot_words: arena.slotWords,
            down_first: arena.firstWords[1]!,
            arena_slots: arena.slots,
            bias_first: arena.biasWords[1] ?? 0,
            has_residual: hasResidual ? 1 : 0,
            shared_ffn: sharedFfn,
            shared_first: sharedFirst,
            shared_weights_first: sharedWeightsFirst,
            shared_scale: drawn.sharedScale,
            apart_first: apartFirst,
          },
          buffers: {
            x,
            slots,
            expert_weights: weights,
            residual: hasResidual ? residual : 16,
            y: 4 * (apartFirst + (tokens + 1) * hidden),
          },
          weights: [arena.packed, down.packed],
          parts,
          constants: {
            ...constants,
            ...choiceConstants(constants, topK + Math.min(shared, 1)),
            BIASED: biased ? 1 : 0,
            SHARED: shared,
          },
          control: { tokens },
          tokens: tokens + 1,
        });

        for (let token = 0; token < tokens; token++) {
          const experts = Array.from({ length: topK }, (_, choice) => {
            const pair = token * topK + choice;
            const slot = slots[routingFirst + pair]!;
            const own = arena.weights[slot]?.[1];
            const bias = arena.biases[slot]?.[1];
            const weight = weights[routingFirst + pair]!;
            return (
              own && { down: own, x: { data: x, first: pair * ffn }, ffn, bias, weights: [weight] }
            );
          }).filter((expert) => expert !== undefined);
          const first = sharedFirst + token * sharedFfn;
          const ofToken = shared === 2 ? [x[sharedWeightsFirst + token]!] : [];
          const network = {
            down: down.weights,
            x: { data: x, first },
            ffn: sharedFfn,
            weights: [drawn.sharedScale, ...ofToken],
          };
          const isAdded = shared === 1 || shared === 2;
          const apart = apartFirst + token * hidden;
          if (shared === 3) {
            expectWithin(
              y.floats.subarray(apart, apart + hidden),
              expertSumReference([network], new Float32Array(hidden)),
            );
          }
          expectWithin(
            y.floats.subarray(token * hidden, (token + 1) * hidden),
            expertSumReference(
              isAdded ? [...experts, network] : experts,
              residual.subarray(token * hidden, (token + 1) * hidden),
            ),
          );
        }
        const others = (words: Uint32Array) => [
          ...words.subarray(tokens * hidden, apartFirst),
          ...words.subarray(apartFirst + (shared === 3 ? tokens * hidden : 0)),
        ];
        expect(others(y.words)).toEqual(others(y.before));
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(formatCases)("expert_sum, $name", ({ format, variant }) => {
  const { reduce } = variant.experts;
  const constants = rowDotsConstants(variant.experts);

  kernelTest("gives the bits of expert_down and combine", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(3, 66),
      ffn: fc.constantFrom(...someCols(format)),
      topK: fc.integer({ min: 1, max: 5 }),
      hasResidual: fc.boolean(),
      biased: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ hidden, ffn, topK, hasResidual, biased, seed }) => {
        const tokens = 2;
        const random = createRandom(seed);
        const biases = biased ? 1 : 0;
        const arena = randomArena(random, [format], ARENA, { rows: hidden, cols: ffn, biases });
        const slots = Uint32Array.from({ length: tokens * topK }, () =>
          random.integer(arena.slots),
        );
        const x = randomInput(random, tokens * topK * ffn);
        const shared = {
          hidden,
          top_k: topK,
          routing_first: 0,
          has_residual: hasResidual ? 1 : 0,
        };
        const place = {
          ffn,
          slot_words: arena.slotWords,
          down_first: arena.firstWords[0]!,
          arena_slots: arena.slots,
          bias_first: arena.biasWords[0] ?? 0,
        };
        const summed = {
          expert_weights: randomInput(random, tokens * topK),
          residual: hasResidual ? randomInput(random, tokens * hidden) : 16,
          y: 4 * tokens * hidden,
        };
        const own = {
          weights: arena.packed,
          control: { tokens },
          constants: { ...constants, BIASED: biases },
        };

        const once = await run(expertSum, {
          ...own,
          params: { ...shared, ...place, ...UNSHARED },
          buffers: { x, slots, ...summed },
          parts: [...loaders(format, undefined), reduce],
          constants: { ...own.constants, ...choiceConstants(constants, topK) },
        });
        const pairs = await run(expertDown, {
          ...own,
          params: { hidden, top_k: topK, routing_first: 0, ...place, arena_first: 0 },
          buffers: { x, slots, y: 4 * tokens * topK * hidden },
          parts: [...rowDotsParts(format, "down"), inputParts.plain, reduce],
        });
        const combined = await run(combine, {
          params: shared,
          buffers: { x: pairs.y.floats, ...summed },
          control: { tokens },
        });

        expect(once.y.words).toEqual(combined.y.words);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

kernelTest.for(Object.entries(variants))(
  "expert_sum, %s, does nothing once a router has faulted",
  async ([, { experts }], { run }) => {
    const format = weightFormats.f32;
    const arena = randomArena(createRandom(1), [format], ARENA, { rows: 8, cols: 8 });

    const { y } = await run(expertSum, {
      params: {
        ...UNSHARED,
        hidden: 8,
        ffn: 8,
        top_k: 2,
        routing_first: 0,
        slot_words: arena.slotWords,
        down_first: arena.firstWords[0]!,
        arena_slots: arena.slots,
        bias_first: 0,
        has_residual: 0,
      },
      buffers: {
        x: new Float32Array(16),
        slots: new Uint32Array(2),
        expert_weights: new Float32Array(2),
        residual: 16,
        y: 4 * 8,
      },
      weights: arena.packed,
      parts: [...loaders(format, undefined), experts.reduce],
      constants: rowDotsConstants(experts),
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  },
);
