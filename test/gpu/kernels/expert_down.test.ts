import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightFormats } from "../../../src/formats/registry.ts";
import { expertDown } from "../../../src/kernels/expert_down.ts";
import { inputParts, rowDotsConstants, rowDotsParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertDownReference } from "../../reference/kernels/expert_down.ts";
import { ABSENT, randomArena, slotContent } from "./arena.ts";
import { formatCases, plants, randomInput, someCols, variantCases } from "./cases.ts";

const NUM_RUNS = runs(3);
/** Slot 3 lies in no arena that is run, as ABSENT does. */
const ARENAS = [
  { first: 0, slots: 1 },
  { first: 1, slots: 2 },
];
const SLOTS = [0, 1, 2, 3, ABSENT];

describe.for(formatCases)("expert_down, $name", ({ format, variant }) => {
  const { reduce } = variant.experts;
  const matrix = rowDotsConstants(variant.experts);
  const parts = [...rowDotsParts(format, "down"), inputParts.plain, reduce];

  kernelTest("agrees with f64 for the pairs in its arena alone", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(1, 3, 13, 65),
      ffn: fc.constantFrom(...someCols(format)),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 1, max: 3 }),
      routingFirst: fc.constantFrom(0, 5),
      plant: fc.constantFrom(...plants),
      biased: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { hidden, ffn, topK, tokens, routingFirst, plant, biased, seed } = drawn;
        const random = createRandom(seed);
        const pairs = tokens * topK;
        const slots = Uint32Array.from(
          // A token past the last has slots too.
          { length: routingFirst + pairs + topK },
          () => SLOTS[random.integer(SLOTS.length)]!,
        );
        const x = randomInput(random, pairs * ffn, plant);
        const arenas = ARENAS.map((arena) =>
          randomArena(random, [format, format], arena, {
            rows: hidden,
            cols: ffn,
            biases: biased ? 2 : 0,
          }),
        );

        let words = new Uint32Array();
        let before = words;
        for (const arena of arenas) {
          const { y } = await run(expertDown, {
            params: {
              hidden,
              ffn,
              top_k: topK,
              routing_first: routingFirst,
              slot_words: arena.slotWords,
              down_first: arena.firstWords[1]!,
              arena_first: arena.first,
              arena_slots: arena.slots,
              bias_first: arena.biasWords[1] ?? 0,
            },
            buffers: { x, slots, y: arena.first === 0 ? 4 * (pairs + topK) * hidden : words },
            weights: arena.packed,
            parts,
            constants: { ...matrix, BIASED: biased ? 1 : 0 },
            control: { tokens },
            tokens: tokens + 1,
          });
          if (arena.first === 0) before = y.before;
          words = y.words;
        }

        for (let pair = 0; pair < pairs + topK; pair++) {
          const result = words.slice(pair * hidden, (pair + 1) * hidden);
          const content = slotContent(arenas, slots[routingFirst + pair]!);
          if (!content || pair >= pairs) {
            expect(result).toEqual(before.slice(0, hidden));
            continue;
          }
          const input = { data: x, first: pair * ffn };
          expectWithin(
            new Float32Array(result.buffer),
            expertDownReference(content.weights[1]!, input, ffn, content.biases[1]),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)(
  "expert_down, $name",
  ({
    variant: {
      experts: { constants, reduce },
    },
  }) => {
    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const format = weightFormats.f32;
      const [hidden, ffn] = [8, 8];
      const shape = { rows: 8, cols: 8 };
      const arena = randomArena(createRandom(1), [format, format], { first: 0, slots: 1 }, shape);

      const { y } = await run(expertDown, {
        params: {
          hidden,
          ffn,
          top_k: 2,
          routing_first: 0,
          slot_words: arena.slotWords,
          down_first: arena.firstWords[1]!,
          arena_first: 0,
          arena_slots: 1,
          bias_first: 0,
        },
        buffers: { x: new Float32Array(16), slots: new Uint32Array(2), y: 4 * 16 },
        weights: arena.packed,
        parts: [...rowDotsParts(format, "down"), inputParts.plain, reduce],
        constants,
        control: { tokens: 1, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
