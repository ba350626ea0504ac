import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { expertGateUp } from "../../../src/kernels/expert_gate_up.ts";
import { TILE_ROWS } from "../../../src/kernels/matvec.ts";
import {
  activationParts,
  inputParts,
  rowDotsConstants,
  rowDotsParts,
  sharedParts,
} from "../../../src/kernels/parts.ts";
import { createRandom, type Random } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { gateUpReference, sharedWeightReference } from "../../reference/kernels/expert_gate_up.ts";
import { ABSENT, randomArena, slotContent } from "./arena.ts";
import {
  encodeMatrix,
  formatCases,
  type Matrix,
  plants,
  randomInput,
  randomMatrix,
  someCols,
  variantCases,
} from "./cases.ts";
import { inputNames, normVectors, randomNorm } from "./inputs.ts";

const NUM_RUNS = runs(3);
/** Slot 3 lies in no arena that is run, as ABSENT does. */
const ARENAS = [
  { first: 0, slots: 1 },
  { first: 1, slots: 2 },
];
const SLOTS = [0, 1, 2, 3, ABSENT];
/** A layer without shared experts, and without biases. */
const PLAIN = {
  routing_first: 0,
  gate_bias_first: 0,
  up_bias_first: 0,
  shared_ffn: 0,
  shared_first: 0,
  shared_vector: 0,
  shared_weights_first: 0,
  epsilon: 0,
} as const;
/** No shared experts, some that count whole, by a number of their own, or that have a norm of their own. */
const SHARED = [0, 1, 2, 3];

/** The parts that read gate and up; shared experts have the two formats the other way round. */
function loaders(gate: WeightFormat, up: WeightFormat, shared: number): readonly string[] {
  return [
    ...rowDotsParts(gate, "gate"),
    ...rowDotsParts(up, "up"),
    ...(shared === 0
      ? [sharedParts.noGateUp]
      : [
          ...rowDotsParts(up, "shared_gate", { binding: 1 }),
          ...rowDotsParts(gate, "shared_up", { binding: 2 }),
          sharedParts.gateUp,
        ]),
  ];
}

/** Gate and up in one format, and in two: with blocks of one length, and of others. */
const PAIRS: readonly (readonly [WeightFormat, WeightFormat])[] = [
  ...formatCases.slice(0, -1).map(({ format }) => [format, format] as const),
  [weightFormats.q4_k, weightFormats.q6_k],
  [weightFormats.mxfp4, weightFormats.iq4_xs],
];

/** Every variant with every input and kind of shared experts; pairs of formats and biases in turn. */
const CASES = variantCases
  .flatMap(({ name, variant }) => SHARED.map((shared) => ({ name, variant, shared })))
  .flatMap((each) => inputNames.map((input) => ({ ...each, input })))
  .filter(({ shared, input }) => shared < 3 || input === "normed")
  .map((each, index) => {
    const [gate, up] = PAIRS[index % PAIRS.length]!;
    const { name, input, shared } = each;
    const biased = (index + Math.floor(index / 2) + Math.floor(index / 6)) % 2 === 1;
    const kind = `${input} input${biased ? ", biases" : ""}, SHARED ${shared}`;
    return { ...each, gate, up, biased, title: `${gate.name} and ${up.name}, ${name}, ${kind}` };
  });

/** Experts that all tokens share; without rows where there are none. */
interface SharedNetwork {
  readonly rows: number;
  readonly gate: Matrix;
  readonly up: Matrix;
  /** [hidden]: what they count is the sigmoid of its product with the input, or of their norm. */
  readonly weight: Float32Array<ArrayBuffer>;
}

function randomShared(
  random: Random,
  [gate, up]: readonly [WeightFormat, WeightFormat],
  rows: number,
  hidden: number,
): SharedNetwork {
  return {
    rows,
    gate: randomMatrix(random, gate, rows, hidden),
    up: randomMatrix(random, up, rows, hidden),
    // So that its product is not so great that all sigmoids are 0 or 1.
    weight: randomInput(random, hidden).map((value) => value / 16),
  };
}

describe.for(CASES)("expert_gate_up, $title", ({ gate, up, variant, ...kind }) => {
  const { input, shared, biased } = kind;
  const { reduce } = variant.experts;
  const matrix = rowDotsConstants(variant.experts);
  const parts = [...loaders(gate, up, shared), inputParts[input], reduce, activationParts.silu];
  const widest = gate.blockWeights > up.blockWeights ? gate : up;

  kernelTest("agrees with f64 for the pairs in its arena alone", async ({ run }) => {
    const shape = fc.record({
      ffn: fc.constantFrom(1, 3, 13, 65),
      hidden: fc.constantFrom(...someCols(widest)),
      sharedFfn: fc.constantFrom(1, 6, 70),
      topK: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 1, max: 3 }),
      routingFirst: fc.constantFrom(0, 5),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { ffn, hidden, topK, tokens, routingFirst, plant, seed } = drawn;
        const random = createRandom(seed);
        const pairs = tokens * topK;
        const slots = Uint32Array.from(
          // A token past the last has slots too.
          { length: routingFirst + pairs + topK },
          () => SLOTS[random.integer(SLOTS.length)]!,
        );
        const x = randomInput(random, tokens * hidden, plant);
        const norm = randomNorm(random, input, hidden);
        const biases = biased ? 2 : 0;
        const arenas = ARENAS.map((arena) =>
          randomArena(random, [gate, up], arena, { rows: ffn, cols: hidden, biases }),
        );
        const network = randomShared(random, [up, gate], shared && drawn.sharedFfn, hidden);
        const ofNorm = normVectors(norm);
        const vectors = [...ofNorm, ...(shared >= 2 ? network.weight : [])];
        const sharedNorm = norm && shared === 3 ? { ...norm, weight: network.weight } : norm;
        const sharedFirst = (pairs + topK) * ffn;
        const sharedWeightsFirst = sharedFirst + (tokens + 1) * network.rows;

        let words = new Uint32Array(sharedWeightsFirst + tokens + 1);
        let before = words;
        for (const arena of arenas) {
          const { y } = await run(expertGateUp, {
            params: {
              cols: hidden,
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
              shared_ffn: network.rows,
              shared_first: sharedFirst,
              shared_vector: ofNorm.length,
              shared_weights_first: sharedWeightsFirst,
              epsilon: norm?.epsilon ?? 0,
            },
            buffers: {
              x,
              vectors: Float32Array.from(vectors),
              slots,
              y: arena.first === 0 ? words.byteLength : words,
            },
            weights: [arena.packed, network.gate.packed, network.up.packed],
            parts,
            constants: { ...matrix, BIASED: biased ? 1 : 0, SHARED: shared },
            control: { tokens },
            tokens: tokens + 1,
          });
          if (arena.first === 0) before = y.before;
          words = y.words;
        }

        const floats = (first: number, count: number) =>
          new Float32Array(words.buffer, words.byteOffset, words.length).slice(
            first,
            first + count,
          );
        for (let pair = 0; pair < pairs + topK; pair++) {
          const content = slotContent(arenas, slots[routingFirst + pair]!);
          if (!content || pair >= pairs) {
            const first = pair * ffn;
            expect(words.slice(first, first + ffn)).toEqual(before.slice(first, first + ffn));
            continue;
          }
          const own = { data: x, first: Math.floor(pair / topK) * hidden };
          const [gateBias, upBias] = content.biases;
          expectWithin(
            floats(pair * ffn, ffn),
            gateUpReference(content.weights[0]!, content.weights[1]!, own, hidden, {
              activation: "silu",
              norm,
              biases: gateBias && upBias && { gate: gateBias, up: upBias },
            }),
          );
        }
        for (let token = 0; token < tokens && shared > 0; token++) {
          const own = { data: x, first: token * hidden };
          const { weights: sharedGate } = network.gate;
          expectWithin(
            floats(sharedFirst + token * network.rows, network.rows),
            gateUpReference(sharedGate, network.up.weights, own, hidden, {
              activation: "silu",
              norm: sharedNorm,
            }),
          );
          if (shared !== 2) continue;
          expectWithin(
            floats(sharedWeightsFirst + token, 1),
            sharedWeightReference(network.weight, own, norm),
          );
        }
        const past = sharedFirst + tokens * network.rows;
        expect(words.slice(past, sharedWeightsFirst)).toEqual(
          before.slice(past, sharedWeightsFirst),
        );
        const unweighed = sharedWeightsFirst + (shared === 2 ? tokens : 0);
        expect(words.slice(unweighed)).toEqual(before.slice(unweighed));
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

describe.for(variantCases)("expert_gate_up, $name", ({ variant: { experts } }) => {
  const { reduce } = experts;
  const constants = rowDotsConstants(experts);
  const format = weightFormats.f32;

  kernelTest("leaves up alone where all rows of a tile are closed", async ({ run }) => {
    const tile = TILE_ROWS * constants.FOURS!;
    const [ffn, hidden] = [3 * tile + 2, 8];
    // Only in the second tile some are open.
    const isRead = (row: number) => row >= tile && row < 2 * tile;
    const isOpen = (row: number) => row === tile + 1 || row === 2 * tile - 1;
    const gate = encodeMatrix(
      format,
      Float32Array.from({ length: ffn * hidden }, (_, at) =>
        isOpen(Math.floor(at / hidden)) ? 1 : -1,
      ),
    );
    const up = encodeMatrix(
      format,
      Float32Array.from({ length: ffn * hidden }, (_, at) =>
        isRead(Math.floor(at / hidden)) ? 2 : Number.NaN,
      ),
    );
    const packed = new Uint8Array([...gate.packed, ...up.packed]);

    const { y } = await run(expertGateUp, {
      params: {
        ...PLAIN,
        cols: hidden,
        ffn,
        top_k: 1,
        slot_words: packed.length / 4,
        gate_first: 0,
        up_first: gate.packed.length / 4,
        arena_first: 0,
        arena_slots: 1,
      },
      buffers: {
        x: new Float32Array(hidden).fill(1),
        vectors: 16,
        slots: new Uint32Array(1),
        y: 4 * ffn,
      },
      weights: packed,
      parts: [...loaders(format, format, 0), inputParts.plain, reduce, activationParts.relu],
      constants,
      control: { tokens: 1 },
    });

    const expected = Array.from({ length: ffn }, (_, row) => (isOpen(row) ? 8 * 16 : 0));
    expect(Array.from(y.floats, Math.abs)).toEqual(expected);
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const shape = { rows: 8, cols: 8 };
    const arena = randomArena(createRandom(1), [format, format], { first: 0, slots: 1 }, shape);

    const { y } = await run(expertGateUp, {
      params: {
        ...PLAIN,
        cols: 8,
        ffn: 8,
        top_k: 2,
        slot_words: arena.slotWords,
        gate_first: arena.firstWords[0]!,
        up_first: arena.firstWords[1]!,
        arena_first: 0,
        arena_slots: 1,
        shared_ffn: 8,
        shared_first: 16,
      },
      buffers: { x: new Float32Array(16), vectors: 16, slots: new Uint32Array(2), y: 4 * 24 },
      weights: arena.packed,
      parts: [...loaders(format, format, 1), inputParts.plain, reduce, activationParts.silu],
      constants: { ...constants, SHARED: 1 },
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});
