import fc from "fast-check";
import { describe, expect } from "vitest";
import { gatedUnit } from "../../../src/kernels/gated_unit.ts";
import { activationParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import type { ActivationName } from "../../../src/ops/ops.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { gatedUnitReference } from "../../reference/kernels/gated_unit.ts";
import { plants, randomInput } from "./cases.ts";

const NUM_RUNS = runs(8);
const names = Object.keys(activationParts) as ActivationName[];

describe.for(names)("gated_unit, %s", (activation) => {
  const parts = [activationParts[activation]];

  kernelTest("agrees with f64 and leaves tokens past the last alone", async ({ run }) => {
    const shape = fc.record({
      width: fc.constantFrom(1, 63, 64, 65, 131),
      tokens: fc.integer({ min: 1, max: 5 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ width, tokens, plant, seed }) => {
        const random = createRandom(seed);
        const gate = randomInput(random, tokens * width, plant);
        const up = randomInput(random, tokens * width);

        const { y } = await run(gatedUnit, {
          params: { width },
          buffers: { gate, up, y: 4 * width * (tokens + 1) },
          parts,
          control: { tokens },
          tokens: tokens + 1,
        });

        const written = tokens * width;
        expectWithin(y.floats.subarray(0, written), gatedUnitReference(gate, up, activation));
        expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("stays finite far from 0", async ({ run }) => {
    const gate = Float32Array.of(-1000, -200, -104, -100, -95, -89, -88, -87, -80, 0, 80, 89, 1000);
    const up = gate.map((_, index) => (index % 2 === 0 ? 3 : -3));

    const { y } = await run(gatedUnit, {
      params: { width: gate.length },
      buffers: { gate, up, y: gate.byteLength },
      parts,
      control: { tokens: 1 },
    });

    expectWithin(y.floats, gatedUnitReference(gate, up, activation));
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { y } = await run(gatedUnit, {
      params: { width: 5 },
      buffers: { gate: new Float32Array(5), up: new Float32Array(5), y: 4 * 5 },
      parts,
      control: { tokens: 1, fault: 2 },
    });

    expect(y.words).toEqual(y.before);
  });
});
