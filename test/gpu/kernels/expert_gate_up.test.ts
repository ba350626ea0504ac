import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { expertGateUp } from "../../../src/kernels/expert_gate_up.ts";
import { activationParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertGateUpReference } from "../../reference/kernels/expert_gate_up.ts";
import { ABSENT, randomArena, slotContent } from "./arena.ts";
import { formatCases, plants, randomInput, someCols, variantCases } from "./cases.ts";

const NUM_RUNS = 3;
/** Slot 3 lies in no arena that is run, as ABSENT does. */
const ARENAS = [
  { first: 0, slots: 1 },
  { first: 1, slots: 2 },
];
const SLOTS = [0, 1, 2, 3, ABSENT];

/** The parts that read gate and up. */
function loaders(gate: WeightFormat, up: WeightFormat): readonly string[] {
  return [...weightParts(gate, "load_gate"), ...weightParts(up, "load_up")];
}

/** Gate and up in one format, and in two: with blocks of one length, and of others. */
const CASES = [
  ...formatCases.map(({ name, format, variant }) => ({ name, gate: format, up: format, variant })),
  ...[
    [weightFormats.q4_k, weightFormats.q6_k],
    [weightFormats.mxfp4, weightFormats.iq4_xs],
  ].map(([gate, up], index) => {
    const { name, variant } = variantCases[index % variantCases.length]!;
    return { name: `${gate!.name} and ${up!.name}, ${name}`, gate: gate!, up: up!, variant };
  }),
];

describe.for(CASES)("expert_gate_up, $name", ({ gate, up, variant }) => {
  const { constants: matrix, reduce } = variant.experts;
  const parts = [...loaders(gate, up), reduce, activationParts.silu];
  const widest = gate.blockWeights > up.blockWeights ? gate : up;

  kernelTest("agrees with f64 for the pairs in its arena alone", async ({ run }) => {
    const shape = fc.record({
      ffn: fc.constantFrom(1, 3, 13, 65),
      hidden: fc.constantFrom(...someCols(widest)),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 1, max: 3 }),
      routingFirst: fc.constantFrom(0, 5),
      plant: fc.constantFrom(...plants),
      biased: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { ffn, hidden, topK, tokens, routingFirst, plant, biased, seed } = drawn;
        const random = createRandom(seed);
        const pairs = tokens * topK;
        const slots = Uint32Array.from(
          // A token past the last has slots too.
          { length: routingFirst + pairs + topK },
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

        let words = new Uint32Array();
        let before = words;
        for (const arena of arenas) {
          const { y } = await run(expertGateUp, {
            params: {
              hidden,
              ffn,
              top_k: topK,
              routing_first: routingFirst,
              slot_words: arena.slotWords,
              gate_first: arena.firstWords[0]!,
              up_first: arena.firstWords[1]!,
              arena_first: arena.first,
              arena_slots: arena.slots,
              gate_bias_first: arena.biasWords[0] ?? 0,
              up_bias_first: arena.biasWords[1] ?? 0,
            },
            buffers: { x, slots, y: arena.first === 0 ? 4 * (pairs + topK) * ffn : words },
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
          const result = words.slice(pair * ffn, (pair + 1) * ffn);
          const content = slotContent(arenas, slots[routingFirst + pair]!);
          if (!content || pair >= pairs) {
            expect(result).toEqual(before.slice(0, ffn));
            continue;
          }
          const input = { data: x, first: Math.floor(pair / topK) * hidden };
          const [gate, up] = content.weights as [Float32Array, Float32Array];
          const [gateBias, upBias] = content.biases;
          const biases = gateBias && upBias && { gate: gateBias, up: upBias };
          expectWithin(
            new Float32Array(result.buffer),
            expertGateUpReference(gate, up, input, hidden, "silu", biases),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)(
  "expert_gate_up, $name",
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

      const { y } = await run(expertGateUp, {
        params: {
          hidden,
          ffn,
          top_k: 2,
          routing_first: 0,
          slot_words: arena.slotWords,
          gate_first: arena.firstWords[0]!,
          up_first: arena.firstWords[1]!,
          arena_first: 0,
          arena_slots: 1,
          gate_bias_first: 0,
          up_bias_first: 0,
        },
        buffers: { x: new Float32Array(16), slots: new Uint32Array(2), y: 4 * 16 },
        weights: arena.packed,
        parts: [...loaders(format, format), reduce, activationParts.silu],
        constants,
        control: { tokens: 1, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
