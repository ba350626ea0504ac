import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { TILE_PAIRS } from "../../../src/kernels/group_tokens.ts";
import { groupedDown } from "../../../src/kernels/grouped_down.ts";
import { inputParts, variants } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertDownReference } from "../../reference/kernels/expert_down.ts";
import { groupTokensReference } from "../../reference/kernels/group_tokens.ts";
import { ABSENT, randomArena, slotContent } from "./arena.ts";
import { plants, randomInput, someCols } from "./cases.ts";

const NUM_RUNS = runs(3);
/** Slot 3 lies in no arena that is run. */
const ARENAS = [
  { first: 0, slots: 1 },
  { first: 1, slots: 2 },
];
const SLOTS = [0, 1, 1, 2, 3, ABSENT];
const SLOT_COUNT = 4;

const { f32, q4_0, q8_0, q4_k } = weightFormats;
const CASES = [
  { format: q4_0, name: "serial" },
  { format: q4_0, name: "workgroup" },
  { format: q8_0, name: "workgroup" },
  { format: q4_k, name: "serial" },
  { format: f32, name: "serial" },
] as const;

describe.for(CASES)("grouped_down, $format.name, $name", ({ format, name }) => {
  const { constants: matrix, reduce } = variants[name].experts;
  const parts = [...weightParts(format), inputParts.plain, reduce];

  kernelTest("agrees with f64, and to the bit with a pair by itself", async ({ run }) => {
    const shape = fc.record({
      hidden: fc.constantFrom(1, 3, 13, 130),
      ffn: fc.constantFrom(...someCols(format)),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 2, max: 7 }),
      plant: fc.constantFrom(...plants),
      biased: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { hidden, ffn, topK, tokens, plant, biased, seed } = drawn;
        const random = createRandom(seed);
        const pairCount = tokens * topK;
        const slots = Uint32Array.from(
          { length: pairCount },
          () => SLOTS[random.integer(SLOTS.length)]!,
        );
        const x = randomInput(random, pairCount * ffn, plant);
        const arenas = ARENAS.map((arena) =>
          randomArena(random, [format], arena, {
            rows: hidden,
            cols: ffn,
            biases: biased ? 1 : 0,
          }),
        );
        let words = new Uint32Array();
        let alone = words;
        let before = words;
        for (const arena of arenas) {
          const params = {
            hidden,
            ffn,
            top_k: topK,
            slot_words: arena.slotWords,
            down_first: arena.firstWords[0]!,
            arena_first: arena.first,
            arena_slots: arena.slots,
            bias_first: arena.biasWords[0] ?? 0,
          };
          const constants = { ...matrix, BIASED: biased ? 1 : 0 };
          const shared = { weights: arena.packed, parts, constants, control: { tokens } };
          const isFirst = arena.first === 0;
          const { y } = await run(groupedDown, {
            ...shared,
            params: { ...params, slot_count: SLOT_COUNT },
            buffers: {
              x,
              ...groupTokensReference(slots, SLOT_COUNT, TILE_PAIRS),
              y: isFirst ? 4 * pairCount * hidden : words,
            },
          });
          const pairByPair = await run(groupedDown, {
            ...shared,
            // Tiles of one pair each are as many as there would be in so many slots.
            params: { ...params, slot_count: pairCount },
            buffers: {
              x,
              ...groupTokensReference(slots, SLOT_COUNT, 1),
              y: isFirst ? 4 * pairCount * hidden : alone,
            },
          });
          if (isFirst) before = y.before;
          words = y.words;
          alone = pairByPair.y.words;
        }

        expect(words).toEqual(alone);
        for (let pair = 0; pair < pairCount; pair++) {
          const result = words.slice(pair * hidden, (pair + 1) * hidden);
          const content = slotContent(arenas, slots[pair]!);
          if (!content) {
            expect(result).toEqual(before.slice(0, hidden));
            continue;
          }
          expectWithin(
            new Float32Array(result.buffer),
            expertDownReference(
              content.weights[0]!,
              { data: x, first: pair * ffn },
              ffn,
              content.biases[0],
            ),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const [hidden, ffn] = [8, format.blockWeights === 1 ? 8 : format.blockWeights];
    const shape = { rows: hidden, cols: ffn };
    const arena = randomArena(createRandom(1), [format], { first: 0, slots: 1 }, shape);

    const { y } = await run(groupedDown, {
      params: {
        hidden,
        ffn,
        top_k: 1,
        slot_words: arena.slotWords,
        down_first: arena.firstWords[0]!,
        arena_first: 0,
        arena_slots: 1,
        slot_count: 1,
        bias_first: 0,
      },
      buffers: {
        x: new Float32Array(2 * ffn),
        ...groupTokensReference([0, 0], 1, TILE_PAIRS),
        y: 4 * 2 * hidden,
      },
      weights: arena.packed,
      parts,
      constants: matrix,
      control: { tokens: 2, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
