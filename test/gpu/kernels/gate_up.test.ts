import fc from "fast-check";
import { describe, expect } from "vitest";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { gateUp } from "../../../src/kernels/gate_up.ts";
import {
  activationParts,
  inputParts,
  rowDotsConstants,
  rowDotsParts,
  variants,
} from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import type { ActivationName } from "../../../src/ops/ops.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { gateUpReference } from "../../reference/kernels/expert_gate_up.ts";
import { encodeMatrix, formatCases, plants, randomInput, randomMatrix, someCols } from "./cases.ts";
import { inputNames, packVectors, randomNorm } from "./inputs.ts";

const NUM_RUNS = runs(3);

/** The parts that read gate and up, each in a buffer of its own. */
function loaders(gate: WeightFormat, up: WeightFormat): readonly string[] {
  return [...rowDotsParts(gate, "gate"), ...rowDotsParts(up, "up", { binding: 1 })];
}

const activations = Object.keys(activationParts) as ActivationName[];

/** Each format with the next one beside it; activations in turn. */
const CASES = formatCases.flatMap(({ name, format, variant }, index) =>
  inputNames.map((input, at) => {
    const up = formatCases[(index + 1) % formatCases.length]!.format;
    const activation = activations[(index + at) % activations.length]!;
    const title = `${name} and ${up.name}, ${input} input, ${activation}`;
    return { title, gate: format, up, variant, input, activation };
  }),
);

describe.for(CASES)("gate_up, $title", ({ gate, up, variant, input, activation }) => {
  const { reduce } = variant.matrix;
  const constants = rowDotsConstants(variant.matrix);
  const parts = [...loaders(gate, up), inputParts[input], activationParts[activation], reduce];
  const widest = gate.blockWeights > up.blockWeights ? gate : up;

  kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 3, 5, 13, 65),
      cols: fc.constantFrom(...someCols(widest)),
      tokens: fc.integer({ min: 1, max: 3 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ rows, cols, tokens, plant, seed }) => {
        const random = createRandom(seed);
        const matrices = [gate, up].map((format) => randomMatrix(random, format, rows, cols));
        const x = randomInput(random, tokens * cols, plant);
        const norm = randomNorm(random, input, cols);

        const { y } = await run(gateUp, {
          params: { rows, cols, epsilon: norm?.epsilon ?? 0 },
          buffers: { x, vectors: packVectors(norm, []).content, y: 4 * (tokens + 1) * rows },
          weights: matrices.map(({ packed }) => packed),
          parts,
          constants,
          control: { tokens },
          tokens: tokens + 1,
        });

        for (let token = 0; token < tokens; token++) {
          const own = { data: x, first: token * cols };
          const [ofGate, ofUp] = matrices.map(({ weights }) => weights);
          expectWithin(
            y.floats.subarray(token * rows, (token + 1) * rows),
            gateUpReference(ofGate!, ofUp!, own, cols, { activation, norm }),
          );
        }
        expect(y.words.subarray(tokens * rows)).toEqual(y.before.subarray(tokens * rows));
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

kernelTest.for(Object.entries(variants))(
  "gate_up, %s, does nothing once a router has faulted",
  async ([, { matrix }], { run }) => {
    const format = weightFormats.f32;
    const { packed } = encodeMatrix(format, new Float32Array(40));

    const { y } = await run(gateUp, {
      params: { rows: 5, cols: 8, epsilon: 0 },
      buffers: { x: new Float32Array(8), vectors: 16, y: 4 * 5 },
      weights: [packed, packed],
      parts: [...loaders(format, format), inputParts.plain, activationParts.silu, matrix.reduce],
      constants: rowDotsConstants(matrix),
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  },
);
