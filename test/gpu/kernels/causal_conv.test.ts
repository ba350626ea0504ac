import fc from "fast-check";
import { describe, expect } from "vitest";
import { causalConv, MAX_TAPS } from "../../../src/kernels/causal_conv.ts";
import { activationParts, convParts } from "../../../src/kernels/parts.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { causalConvReference } from "../../reference/kernels/causal_conv.ts";
import { padded, plants, randomInput } from "./cases.ts";

const NUM_RUNS = runs(10);

const KINDS = {
  gated: { parts: [convParts.gated], columns: 3, others: 0 },
  activated: { parts: [convParts.activated, activationParts.silu], columns: 1, others: 7 },
} as const;

describe.for(Object.keys(KINDS) as (keyof typeof KINDS)[])("causal_conv, %s", (kind) => {
  const { parts, columns, others } = KINDS[kind];

  kernelTest("agrees with f64, and leaves the last inputs as state", async ({ run }) => {
    const shape = fc.record({
      channels: fc.constantFrom(1, 63, 65),
      taps: fc.integer({ min: 2, max: MAX_TAPS }),
      tokens: fc.integer({ min: 1, max: 6 }),
      position: fc.constantFrom(0, 1, 40),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ channels, taps, tokens, position, plant, seed }) => {
        const random = createRandom(seed);
        const width = columns * channels + 2 * others;
        const x = randomInput(random, tokens * width, plant);
        const filters = randomInput(random, channels * (taps + 1));
        const state = randomInput(random, (taps - 1) * channels);
        const input = { channels, taps, filters, x, width, kind, inputFirst: others };

        const after = await run(causalConv, {
          params: { channels, taps, width, input_first: others },
          buffers: {
            x: padded(x, x.length + width),
            filters,
            // Nothing of another conversation's state may count.
            state: position === 0 ? state.map(() => Number.NaN) : state,
            y: 4 * channels * (tokens + 1),
          },
          parts,
          control: { tokens, position },
          tokens: tokens + 1,
        });

        const before = position === 0 ? state.map(() => 0) : state;
        const expected = causalConvReference({ ...input, state: before });
        const written = tokens * channels;
        expectWithin(after.y.floats.subarray(0, written), expected.y);
        expect(after.y.words.subarray(written)).toEqual(after.y.before.subarray(written));
        expectWithin(after.state.floats, expected.state);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const after = await run(causalConv, {
      params: { channels: 4, taps: 3, width: 26, input_first: others },
      buffers: {
        x: new Float32Array(26),
        filters: new Float32Array(16),
        state: new Float32Array(8).fill(1),
        y: 4 * 4,
      },
      parts,
      control: { tokens: 1, position: 0, fault: 1 },
    });

    expect(after.y.words).toEqual(after.y.before);
    expect(after.state.words).toEqual(after.state.before);
  });
});
