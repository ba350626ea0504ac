import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { expertGateUp } from "../../../src/kernels/expert_gate_up.ts";
import { TILE_PAIRS } from "../../../src/kernels/group_tokens.ts";
import { groupedGateUp } from "../../../src/kernels/grouped_gate_up.ts";
import { activationParts, variants } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertGateUpReference } from "../../reference/kernels/expert_gate_up.ts";
import { groupTokensReference } from "../../reference/kernels/group_tokens.ts";
import { ABSENT, randomArena, slotContent } from "./arena.ts";
import { plants, randomInput, someCols } from "./cases.ts";

const NUM_RUNS = 3;
/** Slot 3 lies in no arena that is run. */
const ARENAS = [
  { first: 0, slots: 1 },
  { first: 1, slots: 2 },
];
const SLOTS = [0, 1, 1, 2, 3, ABSENT];
const SLOT_COUNT = 4;

/** The parts that read gate and up. */
function loaders(gate: WeightFormat, up: WeightFormat): readonly string[] {
  return [...weightParts(gate, "load_gate"), ...weightParts(up, "load_up")];
}

const { f32, q4_0, q8_0, q4_k, q6_k } = weightFormats;
const CASES = [
  { gate: q4_0, up: q4_0, name: "serial" },
  { gate: q4_0, up: q4_0, name: "workgroup" },
  { gate: q8_0, up: f32, name: "serial" },
  { gate: q4_k, up: q6_k, name: "workgroup" },
] as const;

describe.for(CASES)("grouped_gate_up, $gate.name and $up.name, $name", ({ gate, up, name }) => {
  const { grouped, matrix, reduce } = variants[name];
  const parts = [...loaders(gate, up), reduce, activationParts.relu];
  const widest = gate.blockWeights > up.blockWeights ? gate : up;

  kernelTest("agrees with f64, and to the bit with a pair by itself", async ({ run }) => {
    const shape = fc.record({
      ffn: fc.constantFrom(1, 3, 13, 65),
      hidden: fc.constantFrom(...someCols(widest)),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 2, max: 7 }),
      plant: fc.constantFrom(...plants),
      biased: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { ffn, hidden, topK, tokens, plant, biased, seed } = drawn;
        const random = createRandom(seed);
        const pairCount = tokens * topK;
        const slots = Uint32Array.from(
          { length: pairCount },
          () => SLOTS[random.integer(SLOTS.length)]!,
        );
        const x = randomInput(random, tokens * hidden, plant);
        const arenas = ARENAS.map((arena) =>
          randomArena(random, [gate, up], arena, {
            rows: ffn,
            cols: hidden,
            biases: biased ? 2 : 0,
          }),
        );
        const groups = groupTokensReference(slots, SLOT_COUNT, TILE_PAIRS);

        let words = new Uint32Array();
        let alone = words;
        let before = words;
        for (const arena of arenas) {
          const params = {
            hidden,
            ffn,
            top_k: topK,
            slot_words: arena.slotWords,
            gate_first: arena.firstWords[0]!,
            up_first: arena.firstWords[1]!,
            arena_first: arena.first,
            arena_slots: arena.slots,
            gate_bias_first: arena.biasWords[0] ?? 0,
            up_bias_first: arena.biasWords[1] ?? 0,
          };
          const shared = { weights: arena.packed, parts, control: { tokens } };
          const isFirst = arena.first === 0;
          const { y } = await run(groupedGateUp, {
            ...shared,
            params: { ...params, slot_count: SLOT_COUNT },
            buffers: { x, ...groups, y: isFirst ? 4 * pairCount * ffn : words },
            constants: { ...grouped, BIASED: biased ? 1 : 0 },
          });
          const pairByPair = await run(expertGateUp, {
            ...shared,
            params: { ...params, routing_first: 0 },
            buffers: { x, slots, y: isFirst ? 4 * pairCount * ffn : alone },
            constants: { ...matrix, BIASED: biased ? 1 : 0 },
          });
          if (isFirst) before = y.before;
          words = y.words;
          alone = pairByPair.y.words;
        }

        expect(words).toEqual(alone);
        for (let pair = 0; pair < pairCount; pair++) {
          const result = words.slice(pair * ffn, (pair + 1) * ffn);
          const content = slotContent(arenas, slots[pair]!);
          if (!content) {
            expect(result).toEqual(before.slice(0, ffn));
            continue;
          }
          const input = { data: x, first: Math.floor(pair / topK) * hidden };
          const [gate, up] = content.weights as [Float32Array, Float32Array];
          const [gateBias, upBias] = content.biases;
          const biases = gateBias && upBias && { gate: gateBias, up: upBias };
          expectWithin(
            new Float32Array(result.buffer),
            expertGateUpReference(gate, up, input, hidden, "relu", biases),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const [hidden, ffn] = [widest.blockWeights, 8];
    const shape = { rows: ffn, cols: hidden };
    const arena = randomArena(createRandom(1), [gate, up], { first: 0, slots: 1 }, shape);

    const { y } = await run(groupedGateUp, {
      params: {
        hidden,
        ffn,
        top_k: 1,
        slot_words: arena.slotWords,
        gate_first: arena.firstWords[0]!,
        up_first: arena.firstWords[1]!,
        arena_first: 0,
        arena_slots: 1,
        slot_count: 1,
        gate_bias_first: 0,
        up_bias_first: 0,
      },
      buffers: {
        x: new Float32Array(2 * hidden),
        ...groupTokensReference([0, 0], 1, TILE_PAIRS),
        y: 4 * 2 * ffn,
      },
      weights: arena.packed,
      parts,
      constants: grouped,
      control: { tokens: 2, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
