import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { expertDownColumns } from "../../../src/kernels/expert_down_columns.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertDownColumnsReference } from "../../reference/kernels/expert_down.ts";
import { ABSENT, randomArena, slotContent } from "./arena.ts";
import { formatCases, leastCols, plants, randomInput, someCols, variantCases } from "./cases.ts";

const NUM_RUNS = runs(3);
/** Slot 3 lies in no arena that is run, as ABSENT does. */
const ARENAS = [
  { first: 0, slots: 1 },
  { first: 1, slots: 2 },
];
const SLOTS = [0, 1, 2, 3, ABSENT];
/** More columns than the lanes of a workgroup have. */
const MANY_COLS = 64 * 8 + 1;

describe.for(formatCases)("expert_down_columns, $name", ({ format, variant }) => {
  const constants = variant.columns.constants;
  const least = leastCols(format);
  const wide = Math.ceil(MANY_COLS / least) * least;

  kernelTest("agrees with f64 for the pairs in its arena alone", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(...someCols(format), wide),
      ffn: fc.constantFrom(1, 3, 13, 20),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 1, max: 3 }),
      routingFirst: fc.constantFrom(0, 5),
      // As behind ReLU: most neurons are 0.
      zeros: fc.boolean(),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { hidden, ffn, topK, tokens, routingFirst, zeros, plant, seed } = drawn;
        const random = createRandom(seed);
        const pairs = tokens * topK;
        const slots = Uint32Array.from(
          // A token past the last has slots too.
          { length: routingFirst + pairs + topK },
          () => SLOTS[random.integer(SLOTS.length)]!,
        );
        const x = randomInput(random, pairs * ffn, plant).map((value) =>
          zeros && value < 0.5 ? 0 : value,
        );
        const arenas = ARENAS.map((arena) =>
          randomArena(random, [format, format], arena, { rows: ffn, cols: hidden }),
        );

        let words = new Uint32Array();
        let before = words;
        for (const arena of arenas) {
          const { y } = await run(expertDownColumns, {
            params: {
              hidden,
              ffn,
              top_k: topK,
              routing_first: routingFirst,
              slot_words: arena.slotWords,
              down_first: arena.firstWords[1]!,
              arena_first: arena.first,
              arena_slots: arena.slots,
            },
            buffers: { x, slots, y: arena.first === 0 ? 4 * (pairs + topK) * hidden : words },
            weights: arena.packed,
            parts: weightParts(format),
            constants,
            control: { tokens },
            tokens: tokens + 1,
          });
          if (arena.first === 0) before = y.before;
          words = y.words;
        }

        for (let pair = 0; pair < pairs + topK; pair++) {
          const result = words.slice(pair * hidden, (pair + 1) * hidden);
          const slot = slotContent(arenas, slots[routingFirst + pair]!);
          if (!slot || pair >= pairs) {
            expect(result).toEqual(before.slice(0, hidden));
            continue;
          }
          const input = { data: x, first: pair * ffn };
          expectWithin(
            new Float32Array(result.buffer),
            expertDownColumnsReference(slot.weights[1]!, input, ffn),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)(
  "expert_down_columns, $name",
  ({
    variant: {
      columns: { constants },
    },
  }) => {
    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const format = weightFormats.f32;
      const shape = { rows: 8, cols: 8 };
      const arena = randomArena(createRandom(1), [format], { first: 0, slots: 1 }, shape);

      const { y } = await run(expertDownColumns, {
        params: {
          hidden: 8,
          ffn: 8,
          top_k: 2,
          routing_first: 0,
          slot_words: arena.slotWords,
          down_first: arena.firstWords[0]!,
          arena_first: 0,
          arena_slots: 1,
        },
        buffers: { x: new Float32Array(16), slots: new Uint32Array(2), y: 4 * 16 },
        weights: arena.packed,
        parts: weightParts(format),
        constants,
        control: { tokens: 1, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
