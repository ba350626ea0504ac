import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { blockParts, weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { expertDown } from "../../../src/kernels/expert_down.ts";
import { expertGateUp } from "../../../src/kernels/expert_gate_up.ts";
import { expertSum } from "../../../src/kernels/expert_sum.ts";
import { TILE_PAIRS } from "../../../src/kernels/group_tokens.ts";
import { groupedDown } from "../../../src/kernels/grouped_down.ts";
import { groupedGateUp } from "../../../src/kernels/grouped_gate_up.ts";
import {
  activationParts,
  rowDotsConstants,
  rowDotsParts,
  sharedParts,
} from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { expertDownReference, expertSumReference } from "../../reference/kernels/expert_down.ts";
import { gateUpReference, sharedWeightReference } from "../../reference/kernels/expert_gate_up.ts";
import { groupTokensReference } from "../../reference/kernels/group_tokens.ts";
import { randomArena } from "./arena.ts";
import { leastCols, randomInput, randomMatrix, variantCases } from "./cases.ts";
import { unitCases } from "./units.ts";

const NUM_RUNS = runs(3);
const ARENA = { first: 0, slots: 3 };
const BLOCK = 32;

const { q4_0, q8_0, q6_k } = weightFormats;

/** All units with all variants; formats whose blocks have no offset, in turn. */
const CASES = unitCases
  .flatMap((each) => variantCases.map(({ name, variant }) => ({ ...each, name, variant })))
  .map((each, index) => {
    const format: WeightFormat = [q4_0, q8_0, q6_k][index % 3]!;
    return { ...each, format, title: `${each.units}, ${format.name}, ${each.name}` };
  });

describe.for(CASES)("experts of blocks, $title", ({ format, input, variant, unit, reference }) => {
  const { integers } = unit;
  const { blockBytes } = input;
  const { constants, reduce } = variant.experts;
  const least = Math.max(BLOCK, leastCols(format));
  const load = integers ? blockParts : weightParts;
  const rest = [...unit.parts, reduce];
  const dots = (name: string, binding = 0) => rowDotsParts(format, name, { binding, integers });

  /** A layer's size, and which of its three experts each pair has. */
  const shape = fc.record({
    hidden: fc.constantFrom(least, 3 * least),
    ffn: fc.constantFrom(least, 2 * least),
    topK: fc.integer({ min: 1, max: 3 }),
    tokens: fc.integer({ min: 1, max: 5 }),
    seed: fc.integer(),
  });

  kernelTest("gate and up agree with f64, pair by pair and in tiles", async ({ run }) => {
    await fc.assert(
      fc.asyncProperty(shape, async ({ hidden, ffn, topK, tokens, seed }) => {
        const random = createRandom(seed);
        const pairs = tokens * topK;
        const slots = Uint32Array.from({ length: pairs }, () => random.integer(ARENA.slots));
        const size = { rows: ffn, cols: hidden };
        const arena = randomArena(random, [format, format], ARENA, size);
        const gate = randomMatrix(random, format, ffn, hidden);
        const up = randomMatrix(random, format, ffn, hidden);
        const weight = randomInput(random, hidden).map((value) => value / 16);
        const x = reference.pack(randomInput(random, tokens * hidden));
        const numbers = reference.read(x);
        const place = {
          cols: hidden,
          ffn,
          top_k: topK,
          slot_words: arena.slotWords,
          gate_first: arena.firstWords[0]!,
          up_first: arena.firstWords[1]!,
          arena_first: 0,
          arena_slots: arena.slots,
          gate_bias_first: 0,
          up_bias_first: 0,
          epsilon: 0,
        };
        const sharedFirst = pairs * ffn;
        const weightsFirst = sharedFirst + tokens * ffn;

        const { y } = await run(expertGateUp, {
          params: {
            ...place,
            routing_first: 0,
            shared_ffn: ffn,
            shared_first: sharedFirst,
            shared_vector: 0,
            shared_weights_first: weightsFirst,
          },
          buffers: { x, vectors: weight, slots, y: 4 * (weightsFirst + tokens) },
          weights: [arena.packed, gate.packed, up.packed],
          parts: [
            ...dots("gate"),
            ...dots("up"),
            ...dots("shared_gate", 1),
            ...dots("shared_up", 2),
            sharedParts.gateUp,
            activationParts.silu,
            ...rest,
          ],
          constants: { ...rowDotsConstants(variant.experts), SHARED: 2 },
          control: { tokens },
        });
        const tiles = await run(groupedGateUp, {
          params: { ...place, slot_count: arena.slots },
          buffers: {
            x,
            vectors: 16,
            ...groupTokensReference(slots, arena.slots, TILE_PAIRS),
            y: 4 * pairs * ffn,
          },
          weights: arena.packed,
          parts: [
            ...load(format, "load_gate"),
            ...load(format, "load_up"),
            activationParts.silu,
            ...rest,
          ],
          constants,
          control: { tokens },
        });

        expect(tiles.y.words).toEqual(y.words.slice(0, pairs * ffn));
        const silu = { activation: "silu" } as const;
        for (let token = 0; token < tokens; token++) {
          const own = { ...numbers, first: token * hidden };
          for (let pair = token * topK; pair < (token + 1) * topK; pair++) {
            const [ofGate, ofUp] = arena.weights[slots[pair]!]! as [Float32Array, Float32Array];
            expectWithin(
              y.floats.subarray(pair * ffn, (pair + 1) * ffn),
              gateUpReference(ofGate, ofUp, own, hidden, silu),
            );
          }
          const first = sharedFirst + token * ffn;
          expectWithin(
            y.floats.subarray(first, first + ffn),
            gateUpReference(gate.weights, up.weights, own, hidden, silu),
          );
          expectWithin(
            y.floats.subarray(weightsFirst + token, weightsFirst + token + 1),
            sharedWeightReference(weight, own),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("down agrees with f64: summed, pair by pair and in tiles", async ({ run }) => {
    await fc.assert(
      fc.asyncProperty(shape, async ({ hidden, ffn, topK, tokens, seed }) => {
        const random = createRandom(seed);
        const pairs = tokens * topK;
        const slots = Uint32Array.from({ length: pairs }, () => random.integer(ARENA.slots));
        const arena = randomArena(random, [format], ARENA, { rows: hidden, cols: ffn });
        const down = randomMatrix(random, format, hidden, ffn);
        const expertWeights = randomInput(random, pairs);
        const residual = randomInput(random, tokens * hidden);
        const sharedFirst = pairs * ffn;
        const weightsFirst = sharedFirst + tokens * ffn;
        const blocks = reference.pack(randomInput(random, weightsFirst));
        const numbers = reference.read(blocks);
        const ofTokens = randomInput(random, tokens);
        const x = new Uint32Array([...blocks, ...behindBlocks(ofTokens, blockBytes)]);
        const place = {
          hidden,
          ffn,
          top_k: topK,
          slot_words: arena.slotWords,
          down_first: arena.firstWords[0]!,
          arena_slots: arena.slots,
          bias_first: 0,
        };
        const own = { weights: arena.packed, control: { tokens } };

        const summed = await run(expertSum, {
          params: {
            ...place,
            routing_first: 0,
            weights_first: 0,
            has_residual: 1,
            shared_ffn: ffn,
            shared_first: sharedFirst,
            shared_weights_first: weightsFirst,
            shared_scale: 2,
            apart_first: 0,
          },
          buffers: {
            x,
            slots,
            expert_weights: expertWeights,
            residual,
            y: 4 * tokens * hidden,
          },
          weights: [arena.packed, down.packed],
          parts: [...dots("down"), ...dots("shared_down", 1), sharedParts.down, ...rest],
          constants: { ...rowDotsConstants(variant.experts), SHARED: 2 },
          control: { tokens },
        });
        const { y } = await run(expertDown, {
          ...own,
          params: { ...place, routing_first: 0, arena_first: 0 },
          buffers: { x, slots, y: 4 * pairs * hidden },
          parts: [...dots("down"), ...rest],
          constants: rowDotsConstants(variant.experts),
        });
        const tiles = await run(groupedDown, {
          ...own,
          params: { ...place, arena_first: 0, slot_count: arena.slots },
          buffers: {
            x,
            ...groupTokensReference(slots, arena.slots, TILE_PAIRS),
            y: 4 * pairs * hidden,
          },
          parts: [...load(format), ...rest],
          constants,
        });

        expect(tiles.y.words).toEqual(y.words);
        const ofPair = (pair: number) => ({
          down: arena.weights[slots[pair]!]![0]!,
          x: { ...numbers, first: pair * ffn },
          ffn,
          weights: [expertWeights[pair]!],
        });
        for (let pair = 0; pair < pairs; pair++) {
          const { down: weights, x: input } = ofPair(pair);
          expectWithin(
            y.floats.subarray(pair * hidden, (pair + 1) * hidden),
            expertDownReference(weights, input, ffn),
          );
        }
        for (let token = 0; token < tokens; token++) {
          const chosen = Array.from({ length: topK }, (_, choice) => ofPair(token * topK + choice));
          const shared = {
            down: down.weights,
            x: { ...numbers, first: sharedFirst + token * ffn },
            ffn,
            weights: [2, ofTokens[token]!],
          };
          const [first, end] = [token * hidden, (token + 1) * hidden];
          expectWithin(
            summed.y.floats.subarray(first, end),
            expertSumReference([...chosen, shared], residual.subarray(first, end)),
          );
        }
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

/** Numbers that are in no block: four where a block would have its last quad. */
function behindBlocks(numbers: Float32Array<ArrayBuffer>, blockBytes: number): Uint32Array {
  const bits = new Uint32Array(numbers.buffer);
  const blockWords = blockBytes / 4;
  const words = new Uint32Array(Math.ceil(numbers.length / 4) * blockWords);
  bits.forEach((word, index) => {
    words[(Math.floor(index / 4) + 1) * blockWords - 4 + (index % 4)] = word;
  });
  return words;
}
