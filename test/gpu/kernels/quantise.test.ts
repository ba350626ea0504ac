import fc from "fast-check";
import { describe, expect } from "vitest";
import { BLOCK_NUMBERS } from "../../../src/formats/input/format.ts";
import { layerNorm } from "../../../src/kernels/layer_norm.ts";
import { inputParts } from "../../../src/kernels/parts.ts";
import { quantise, storeConstants } from "../../../src/kernels/quantise.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import {
  CONVERSION_F16,
  DIVISION,
  ROUNDING,
  SMALLEST,
  SMALLEST_F16,
  type Value,
} from "../../reference/kernels/bounds.ts";
import { largestOf, SMALLEST_BLOCK } from "../../reference/kernels/quantise.ts";
import { LEAST_LARGEST, readHalfBlocks } from "../../reference/kernels/quantise_f16.ts";
import { quotient, readByteBlocks, sum } from "../../reference/kernels/quantise_int8.ts";
import { rmsScale } from "../../reference/kernels/rms_norm.ts";
import { plants, randomInput, variantCases } from "./cases.ts";
import { inputNames, normVectors, type RandomNorm, randomNorm } from "./inputs.ts";
import { type BlockAccuracy, blocksCases } from "./units.ts";

const NUM_RUNS = runs(8);
/** How far a byte may be from what it rounds: a half, and what f32 makes of a weight, a division and a product. */
const BYTE_ERROR = 0.5 + 127 * (DIVISION + 2 * ROUNDING);
/** Nothing but a row for each token. */
const ROWS_ONLY = { more_first: 0, more_cols: 0, raw_first: 0, has_raw: 0 } as const;

/** Numbers that a block stands for: each of `numbers` times `factor`. */
type ExpectBlock = (words: Uint32Array, numbers: Float32Array, factor: Value | undefined) => void;

/** Each fails unless `words` are a block as near to its numbers as the format's can be. */
const EXPECT_BLOCK: Readonly<Record<BlockAccuracy, ExpectBlock>> = {
  int8: expectBytes,
  f16: expectHalves,
};

const CASES = blocksCases.flatMap((blocks) =>
  variantCases.flatMap(({ name, variant }) =>
    inputNames.map((reads) => ({
      ...blocks,
      ...{ name: `${blocks.accuracy}, ${name}, ${reads} input`, variant, reads },
    })),
  ),
);

describe.for(CASES)("quantise, $name", ({ accuracy, input: format, variant, reads }) => {
  const own = {
    parts: [format.write, inputParts[reads], variant.norm.reduce],
    constants: { ...variant.norm.constants, ...storeConstants(format) },
  };
  const blockWords = format.blockBytes / 4;

  kernelTest("rounds as the format does and leaves other tokens alone", async ({ run }) => {
    const shape = fc.record({
      blocks: fc.constantFrom(1, 3, 16, 130),
      tokens: fc.integer({ min: 1, max: 4 }),
      plant: fc.constantFrom(...plants),
      // Not so far that the squares of a norm leave f32.
      size: fc.constantFrom(1, 1e-12, 1e12),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ blocks, tokens, plant, size, seed }) => {
        const cols = blocks * BLOCK_NUMBERS;
        const random = createRandom(seed);
        const x = randomInput(random, tokens * cols, plant).map((number) => number * size);
        // Of these 127 over the largest would be infinite.
        x.fill(2e-37, 0, BLOCK_NUMBERS);
        const norm = randomNorm(random, reads, cols);
        const vectors = Float32Array.from(normVectors(norm));
        // Bit for bit what the kernel reads on its way.
        const layerNormed = norm?.bias && (await normed(run, x, vectors, norm));

        const { y } = await run(quantise, {
          ...own,
          params: { cols, epsilon: norm?.epsilon ?? 0, ...ROWS_ONLY },
          buffers: {
            x,
            vectors: norm ? vectors : 16,
            y: (4 * blockWords * (tokens + 1) * cols) / BLOCK_NUMBERS,
          },
          control: { tokens },
          tokens: tokens + 1,
        });

        const written = (tokens * cols * blockWords) / BLOCK_NUMBERS;
        for (let first = 0; first < tokens * cols; first += BLOCK_NUMBERS) {
          const row = first - (first % cols);
          const numbers = layerNormed
            ? layerNormed.slice(first, first + BLOCK_NUMBERS)
            : x
                .slice(first, first + BLOCK_NUMBERS)
                .map((value, i) => value * (norm?.weight[first - row + i] ?? 1));
          EXPECT_BLOCK[accuracy](
            blockAt(y.words, first / BLOCK_NUMBERS, blockWords),
            numbers,
            norm && !norm.bias ? rmsScale({ data: x, first: row }, cols, norm.epsilon) : undefined,
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
        vectors: new Float32Array(2 * BLOCK_NUMBERS),
        y: format.blockBytes,
      },
      control: { tokens: 1, fault: 1 },
    });

    expect(y.words).toEqual(y.before);
  });
});

/** The layer norm of each row of x, as its own kernel computes it. */
async function normed(
  run: RunKernel,
  x: Float32Array,
  vectors: Float32Array,
  { weight, epsilon, centred }: RandomNorm,
): Promise<Float32Array> {
  const width = weight.length;
  const { y } = await run(layerNorm, {
    params: { width, epsilon, centred: centred ? 1 : 0 },
    buffers: { x, weight_bias: vectors, y: 4 * x.length },
    control: { tokens: x.length / width },
  });
  return y.floats;
}

const PLAIN_CASES = CASES.filter(({ reads }) => reads === "plain");

kernelTest.for(PLAIN_CASES)(
  "quantise, $name, takes more of each token, and copies numbers behind the blocks",
  async ({ accuracy, input: format, variant }, { run }) => {
    const [cols, moreCols, tokens, room] = [64, 96, 5, 6];
    const moreFirst = room * cols;
    const rawFirst = moreFirst + room * moreCols;
    const x = randomInput(createRandom(7), rawFirst + 8);
    const blockWords = format.blockBytes / 4;
    const rawBlock = rawFirst / BLOCK_NUMBERS;

    const { y } = await run(quantise, {
      params: {
        cols,
        more_first: moreFirst,
        more_cols: moreCols,
        raw_first: rawFirst,
        has_raw: 1,
        epsilon: 0,
      },
      buffers: { x, vectors: 16, y: format.blockBytes * (rawBlock + 2) },
      parts: [format.write, inputParts.plain, variant.norm.reduce],
      constants: { ...variant.norm.constants, ...storeConstants(format) },
      control: { tokens },
    });

    for (const [start, width] of [
      [0, cols],
      [moreFirst, moreCols],
    ] as const) {
      for (let first = start; first < start + tokens * width; first += BLOCK_NUMBERS) {
        const numbers = x.subarray(first, first + BLOCK_NUMBERS);
        EXPECT_BLOCK[accuracy](
          blockAt(y.words, first / BLOCK_NUMBERS, blockWords),
          numbers,
          undefined,
        );
      }
    }
    const raw = Array.from({ length: tokens }, (_, token) => {
      const block = rawBlock + Math.floor(token / 4);
      return y.floats[(block + 1) * blockWords - 4 + (token % 4)];
    });
    expect(raw).toEqual([...x.subarray(rawFirst, rawFirst + tokens)]);
  },
);

/** The words of block `index`. */
function blockAt(words: Uint32Array, index: number, blockWords: number): Uint32Array {
  return words.subarray(index * blockWords, (index + 1) * blockWords);
}

function expectBytes(words: Uint32Array, numbers: Float32Array, factor: Value | undefined): void {
  const { bytes, sums, scale, largest } = readByteBlocks(words)[0]!;
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

function expectHalves(words: Uint32Array, numbers: Float32Array, factor: Value | undefined): void {
  const { halves, sums, scale } = readHalfBlocks(words)[0]!;
  const most = largestOf(numbers);
  if (most < SMALLEST_BLOCK) {
    expect([...halves, ...sums, scale].map(Math.abs)).toEqual(new Array(35).fill(0));
    return;
  }
  const times = factor?.value ?? 1;
  // A power of two, exactly; the factor and one product by it are rounded.
  const step = 2 ** Math.round(Math.log2(scale / times));
  expect(most / step).toBeGreaterThanOrEqual(LEAST_LARGEST);
  expect(most / step).toBeLessThanOrEqual(2 * LEAST_LARGEST);
  const relative = (factor ? factor.bound / factor.value : 0) + 2 * ROUNDING;
  expect(Math.abs(scale / step - times)).toBeLessThanOrEqual(relative * times);
  const wrong = Array.from(numbers).filter((number, i) => {
    const wanted = number / step;
    const bound = (CONVERSION_F16 + ROUNDING) * Math.abs(wanted) + SMALLEST_F16;
    return !(Math.abs(halves[i]! - wanted) <= bound);
  });
  expect(wrong).toEqual([]);
  for (const [index, half] of [halves.subarray(0, 16), halves.subarray(16)].entries()) {
    const exact = half.reduce((all, each) => all + each, 0);
    const magnitude = half.reduce((all, each) => all + Math.abs(each), 0);
    const bound = 16 * ROUNDING * magnitude;
    expect(Math.abs(sums[index]! - exact)).toBeLessThanOrEqual(bound);
  }
}
