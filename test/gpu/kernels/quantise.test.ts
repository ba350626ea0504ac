import fc from "fast-check";
import { describe, expect } from "vitest";
import { inputParts } from "../../../src/kernels/parts.ts";
import { BLOCK_BYTES, BLOCK_NUMBERS, quantise } from "../../../src/kernels/quantise.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { DIVISION, ROUNDING, SMALLEST } from "../../reference/kernels/bounds.ts";
import { largestOf, quotient, readBlocks, sum } from "../../reference/kernels/quantise.ts";
import { rmsScale } from "../../reference/kernels/rms_norm.ts";
import { plants, randomInput, variantCases } from "./cases.ts";
import { inputNames, randomNorm } from "./inputs.ts";

const NUM_RUNS = runs(8);
/** How far a byte may be from what it rounds: a half, and what f32 makes of a weight, a division and a product. */
const BYTE_ERROR = 0.5 + 127 * (DIVISION + 2 * ROUNDING);
/** Nothing but a row for each token. */
const ROWS_ONLY = { more_first: 0, more_cols: 0, raw_first: 0, has_raw: 0 } as const;

const CASES = variantCases.flatMap(({ name, variant }) =>
  inputNames.map((input) => ({ name: `${name}, ${input} input`, variant, input })),
);

describe.for(CASES)("quantise, $name", ({ variant, input }) => {
  const { constants, reduce } = variant.norm;
  const own = { parts: [inputParts[input], reduce], constants };

  kernelTest("rounds to the nearest bytes and leaves other tokens alone", async ({ run }) => {
    const shape = fc.record({
      blocks: fc.constantFrom(1, 3, 16, 130),
      tokens: fc.integer({ min: 1, max: 4 }),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ blocks, tokens, plant, seed }) => {
        const cols = blocks * BLOCK_NUMBERS;
        const random = createRandom(seed);
        const x = randomInput(random, tokens * cols, plant);
        // Of these 127 over the largest would be infinite.
        x.fill(2e-37, 0, BLOCK_NUMBERS);
        const norm = randomNorm(random, input, cols);

        const { y } = await run(quantise, {
          ...own,
          params: { cols, epsilon: norm?.epsilon ?? 0, ...ROWS_ONLY },
          buffers: {
            x,
            vectors: norm?.weight ?? 16,
            y: (BLOCK_BYTES / BLOCK_NUMBERS) * (tokens + 1) * cols,
          },
          control: { tokens },
          tokens: tokens + 1,
        });

        const written = (tokens * cols * BLOCK_BYTES) / BLOCK_NUMBERS / 4;
        for (const [index, block] of readBlocks(y.words.subarray(0, written)).entries()) {
          const first = index * BLOCK_NUMBERS;
          const row = first - (first % cols);
          const numbers = x
            .slice(first, first + BLOCK_NUMBERS)
            .map((value, i) => value * (norm?.weight[first - row + i] ?? 1));
          expectBlock(
            block,
            numbers,
            norm && rmsScale({ data: x, first: row }, cols, norm.epsilon),
          );
        }
        expect(y.words.subarray(written)).toEqual(y.before.subarray(written));
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("does nothing once a router has faulted", async ({ run }) => {
    const { y } = await run(quantise, {
      ...own,
      params: { cols: BLOCK_NUMBERS, epsilon: 1, ...ROWS_ONLY },
      buffers: {
        x: new Float32Array(BLOCK_NUMBERS),
        vectors: new Float32Array(BLOCK_NUMBERS),
        y: BLOCK_BYTES,
      },
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});

kernelTest.for(variantCases)(
  "quantise, $name, takes more of each token, and copies numbers behind the blocks",
  async ({ variant }, { run }) => {
    const [cols, moreCols, tokens, room] = [64, 96, 5, 6];
    const moreFirst = room * cols;
    const rawFirst = moreFirst + room * moreCols;
    const x = randomInput(createRandom(7), rawFirst + 8);

    const { y } = await run(quantise, {
      params: {
        cols,
        more_first: moreFirst,
        more_cols: moreCols,
        raw_first: rawFirst,
        has_raw: 1,
        epsilon: 0,
      },
      buffers: { x, vectors: 16, y: (BLOCK_BYTES / BLOCK_NUMBERS) * rawFirst + 4 * 8 },
      parts: [inputParts.plain, variant.norm.reduce],
      constants: variant.norm.constants,
      control: { tokens },
    });

    const blocks = readBlocks(y.words);
    for (const [start, width] of [
      [0, cols],
      [moreFirst, moreCols],
    ] as const) {
      for (let first = start; first < start + tokens * width; first += BLOCK_NUMBERS) {
        const numbers = x.subarray(first, first + BLOCK_NUMBERS);
        expectBlock(blocks[first / BLOCK_NUMBERS]!, numbers, undefined);
      }
    }
    const rawWord = (rawFirst / BLOCK_NUMBERS) * (BLOCK_BYTES / 4);
    expect(y.floats.subarray(rawWord, rawWord + tokens)).toEqual(
      x.subarray(rawFirst, rawFirst + tokens),
    );
  },
);

/** Fails unless `block` is as near to `numbers`, each times `factor`, as bytes can be. */
function expectBlock(
  block: ReturnType<typeof readBlocks>[number],
  numbers: Float32Array,
  factor: ReturnType<typeof rmsScale> | undefined,
): void {
  const { bytes, sums, scale, largest } = block;
  const most = largestOf(numbers);
  const wrong = Array.from(numbers).filter(
    (number, i) => !(Math.abs(bytes[i]! - quotient(number, most)) <= BYTE_ERROR),
  );
  expect(wrong).toEqual([]);
  expect(sums).toEqual([sum(bytes.subarray(0, 16)), sum(bytes.subarray(16))]);
  const times = factor?.value ?? 1;
  const exact = most * times;
  // What is below the smallest normal number may be 0 before it is multiplied.
  const absolute = SMALLEST * (1 + times);
  const relative = (factor ? factor.bound / factor.value : 0) + 5 * ROUNDING;
  expect(Math.abs(largest - exact)).toBeLessThanOrEqual(relative * exact + absolute);
  expect(Math.abs(scale - exact / 127)).toBeLessThanOrEqual((relative * exact) / 127 + absolute);
}
