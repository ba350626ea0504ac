import fc from "fast-check";
import { describe, expect } from "vitest";
import type { Variant } from "../../../src/kernels/parts.ts";
import { ssmScan } from "../../../src/kernels/ssm_scan.ts";
import { createRandom, type Random } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { type ScanInput, ssmScanReference } from "../../reference/kernels/ssm_scan.ts";
import { padded, plants, randomInput, variantCases } from "./cases.ts";

const NUM_RUNS = runs(8);

/** Columns of the projection before the time steps. */
const OTHERS = 3;

interface Shape {
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly stateDim: number;
}

const shapes = fc
  .record({
    groups: fc.constantFrom(1, 2),
    headsInGroup: fc.constantFrom(1, 3),
    headDim: fc.constantFrom(4, 20),
    stateDim: fc.constantFrom(4, 36, 128),
  })
  .map(({ headsInGroup, ...shape }) => ({ ...shape, heads: headsInGroup * shape.groups }));

/** Heads that forget at once and heads that keep, time steps from nearly none to long. */
function randomScan(
  random: Random,
  shape: Shape,
  tokens: number,
  plant: (typeof plants)[number],
): ScanInput {
  const { heads, headDim, groups, stateDim } = shape;
  const width = heads * headDim + 2 * groups * stateDim;
  return {
    ...shape,
    x: randomInput(random, tokens * width, plant),
    times: randomInput(random, tokens * heads).map((value) => 6 * value),
    timeBias: randomInput(random, heads),
    decay: randomInput(random, heads).map((value) => -Math.exp(2 * value)),
    skip: randomInput(random, heads),
    state: randomInput(random, heads * headDim * stateDim),
  };
}

/** One dispatch over tokens `[first, first + tokens)` of the input. */
async function scan(
  run: RunKernel,
  variant: Variant,
  input: ScanInput,
  { position, first = 0, tokens }: { position: number; first?: number; tokens: number },
) {
  const { heads, headDim, groups, stateDim } = input;
  const inner = heads * headDim;
  const width = inner + 2 * groups * stateDim;
  const projected = new Float32Array((OTHERS + heads) * tokens).fill(Number.NaN);
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      const time = input.times[(first + token) * heads + head]!;
      projected[token * (OTHERS + heads) + OTHERS + head] = time;
    }
  }
  const x = Float32Array.from(input.x).subarray(first * width, (first + tokens) * width);
  return run(ssmScan, {
    params: {
      heads,
      head_dim: headDim,
      groups,
      state_dim: stateDim,
      width,
      projected_width: OTHERS + heads,
      times_first: OTHERS,
    },
    buffers: {
      x: padded(x, x.length + width),
      projected,
      heads_own: Float32Array.from([
        ...Array.from(input.timeBias),
        ...Array.from(input.decay),
        ...Array.from(input.skip),
      ]),
      state: Float32Array.from(input.state),
      y: 4 * inner * (tokens + 1),
    },
    parts: [variant.matrix.reduce],
    constants: variant.matrix.constants,
    control: { tokens, position },
    tokens: tokens + 1,
  });
}

describe.for(variantCases)("ssm_scan, $name", ({ variant }) => {
  kernelTest("agrees with f64, from the state before on", async ({ run }) => {
    const cases = fc.record({
      shape: shapes,
      tokens: fc.integer({ min: 1, max: 5 }),
      position: fc.constantFrom(0, 1, 40),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, tokens, position, plant, seed }) => {
        const input = randomScan(createRandom(seed), shape, tokens, plant);
        const state = Float32Array.from(input.state);
        // Nothing of another conversation's state may count.
        const given = position === 0 ? state.map(() => Number.NaN) : state;

        const after = await scan(run, variant, { ...input, state: given }, { position, tokens });

        const before = position === 0 ? state.map(() => 0) : state;
        const expected = ssmScanReference({ ...input, state: before });
        const written = tokens * shape.heads * shape.headDim;
        expectWithin(after.y.floats.subarray(0, written), expected.y);
        expect(after.y.words.subarray(written)).toEqual(after.y.before.subarray(written));
        expectWithin(after.state.floats, expected.state);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("a pass over tokens is the same bits as a pass for each", async ({ run }) => {
    const shape = { heads: 4, headDim: 20, groups: 2, stateDim: 36 };
    const input = randomScan(createRandom(5), shape, 4, "none");

    const whole = await scan(run, variant, input, { position: 0, tokens: 4 });
    let state = input.state;
    for (let first = 0; first < 4; first++) {
      const one = { position: first, first, tokens: 1 };
      state = (await scan(run, variant, { ...input, state }, one)).state.floats;
    }

    expect(state).toEqual(whole.state.floats);
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const after = await run(ssmScan, {
      params: {
        ...{ heads: 1, head_dim: 4, groups: 1, state_dim: 4, width: 12 },
        ...{ projected_width: 1, times_first: 0 },
      },
      buffers: {
        x: new Float32Array(12),
        projected: new Float32Array(1),
        heads_own: new Float32Array(3),
        state: new Float32Array(16).fill(1),
        y: 4 * 4,
      },
      parts: [variant.matrix.reduce],
      constants: variant.matrix.constants,
      control: { tokens: 1, position: 0, fault: 1 },
    });

    expect(after.y.words).toEqual(after.y.before);
    expect(after.state.words).toEqual(after.state.before);
  });
});
