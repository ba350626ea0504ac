import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { TILE_PAIRS } from "../../../src/kernels/group_tokens.ts";
import { groupedGateUp } from "../../../src/kernels/grouped_gate_up.ts";
import { activationParts, inputParts, variants } from "../../../src/kernels/parts.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { groupTokensReference } from "../../reference/kernels/group_tokens.ts";
import { gatedUnitReference } from "../../reference/kernels/grouped_gate_up.ts";
import { ABSENT, type Arena, randomArena, slotContent } from "./arena.ts";
import { plants, randomInput, someCols } from "./cases.ts";

const NUM_RUNS = runs(3);
const EPSILON = 1e-5;
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
  { gate: q4_0, up: q4_0, name: "serial", input: "plain" },
  { gate: q4_0, up: q4_0, name: "workgroup", input: "normed" },
  { gate: q8_0, up: f32, name: "serial", input: "normed" },
  { gate: q4_k, up: q6_k, name: "workgroup", input: "plain" },
] as const;

/** One layer's work. */
interface Layer {
  readonly ffn: number;
  readonly cols: number;
  readonly topK: number;
  readonly tokens: number;
  readonly slots: ArrayLike<number>;
  readonly x: Float32Array;
  readonly vectors: Float32Array;
  readonly arenas: readonly Arena[];
  readonly isBiased: boolean;
}

describe.for(CASES)(
  "grouped_gate_up, $gate.name and $up.name, $input, $name",
  ({ gate, up, name, input }) => {
    const { constants: matrix, reduce } = variants[name].experts;
    const parts = [...loaders(gate, up), inputParts[input], reduce, activationParts.relu];
    const widest = gate.blockWeights > up.blockWeights ? gate : up;

    /** What the kernel writes for tiles of at most `tilePairs` pairs, arena after arena; and what was there before. */
    async function compute(run: RunKernel, layer: Layer, tilePairs: number) {
      const { ffn, cols, topK, tokens, slots, x, vectors, arenas, isBiased } = layer;
      let after: Uint32Array<ArrayBuffer> | undefined;
      let before = new Uint32Array();
      for (const arena of arenas) {
        const { y } = await run(groupedGateUp, {
          params: {
            cols,
            ffn,
            top_k: topK,
            slot_words: arena.slotWords,
            gate_first: arena.firstWords[0]!,
            up_first: arena.firstWords[1]!,
            arena_first: arena.first,
            arena_slots: arena.slots,
            // Tiles of one pair each are as many as there would be in so many slots.
            slot_count: tilePairs === TILE_PAIRS ? SLOT_COUNT : slots.length,
            gate_bias_first: arena.biasWords[0] ?? 0,
            up_bias_first: arena.biasWords[1] ?? 0,
            epsilon: EPSILON,
          },
          buffers: {
            x,
            vectors,
            ...groupTokensReference(slots, SLOT_COUNT, tilePairs),
            y: after ?? 4 * slots.length * ffn,
          },
          weights: arena.packed,
          parts,
          constants: { ...matrix, BIASED: isBiased ? 1 : 0 },
          control: { tokens },
        });
        if (!after) before = y.before;
        after = y.words;
      }
      return { after: after!, before };
    }

    kernelTest("agrees with f64, and to the bit with a pair by itself", async ({ run }) => {
      const shape = fc.record({
        ffn: fc.constantFrom(1, 3, 13, 65),
        cols: fc.constantFrom(...someCols(widest)),
        topK: fc.integer({ min: 1, max: 4 }),
        tokens: fc.integer({ min: 2, max: 7 }),
        plant: fc.constantFrom(...plants),
        isBiased: fc.boolean(),
        seed: fc.integer(),
      });
      await fc.assert(
        fc.asyncProperty(shape, async ({ plant, seed, ...drawn }) => {
          const { ffn, cols, topK, tokens, isBiased } = drawn;
          const random = createRandom(seed);
          const layer: Layer = {
            ...drawn,
            slots: Uint32Array.from(
              { length: tokens * topK },
              () => SLOTS[random.integer(SLOTS.length)]!,
            ),
            x: randomInput(random, tokens * cols, plant),
            vectors: normalArray(random, cols),
            arenas: ARENAS.map((arena) =>
              randomArena(random, [gate, up], arena, {
                rows: ffn,
                cols,
                biases: isBiased ? 2 : 0,
              }),
            ),
          };
          const { after, before } = await compute(run, layer, TILE_PAIRS);
          const alone = await compute(run, layer, 1);

          expect(after).toEqual(alone.after);
          for (let pair = 0; pair < tokens * topK; pair++) {
            const result = after.slice(pair * ffn, (pair + 1) * ffn);
            const content = slotContent(layer.arenas, layer.slots[pair]!);
            if (!content) {
              expect(result).toEqual(before.slice(0, ffn));
              continue;
            }
            const [gate, up] = content.weights as [Float32Array, Float32Array];
            const [gateBias, upBias] = content.biases;
            const biases = gateBias && upBias && { gate: gateBias, up: upBias };
            expectWithin(
              new Float32Array(result.buffer),
              gatedUnitReference(
                { gate, up, biases, activation: "relu" },
                { data: layer.x, first: Math.floor(pair / topK) * cols },
                cols,
                input === "normed" ? { weights: layer.vectors, epsilon: EPSILON } : undefined,
              ),
            );
          }
        }),
        { numRuns: NUM_RUNS },
      );
    });

    kernelTest("does nothing once a router has faulted", async ({ run }) => {
      const [cols, ffn] = [widest.blockWeights, 8];
      const shape = { rows: ffn, cols };
      const arena = randomArena(createRandom(1), [gate, up], { first: 0, slots: 1 }, shape);

      const { y } = await run(groupedGateUp, {
        params: {
          cols,
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
          epsilon: EPSILON,
        },
        buffers: {
          x: new Float32Array(2 * cols),
          vectors: new Float32Array(cols),
          ...groupTokensReference([0, 0], 1, TILE_PAIRS),
          y: 4 * 2 * ffn,
        },
        weights: arena.packed,
        parts,
        constants: matrix,
        control: { tokens: 2, fault: 1 },
      });

      expect(y.words).toEqual(y.before);
    });
  },
);
