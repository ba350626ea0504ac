import fc from "fast-check";
import { expect } from "vitest";
import { hashRouter } from "../../../src/kernels/hash_router.ts";
import { NO_PAGES } from "../../../src/kernels/router.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { hashRouterReference } from "../../reference/kernels/hash_router.ts";
import { ABSENT } from "./arena.ts";
import { splitChoices } from "./choices.ts";

const NUM_RUNS = runs(20);
/** The layer under test, and where its rows of the page table and of the routing buffers start. */
const MOE_INDEX = 2;
const PAGE_FIRST = 7;
const ROUTING_FIRST = 5;
const WEIGHT = 0.3;

/** Everything that a test chooses. */
interface HashCase {
  /** [vocab, topK] */
  readonly table: Uint32Array;
  readonly topK: number;
  readonly tokenIds: readonly number[];
  /** [experts], of this layer */
  readonly pages: Uint32Array;
  readonly fault?: number;
  /** Default: true. */
  readonly looksUp?: boolean;
}

/** Runs the kernel in a grid and buffers with room for one token more. */
async function route(run: RunKernel, routed: HashCase) {
  const { table, topK, tokenIds, pages, fault = 0, looksUp = true } = routed;
  const bytes = 4 * (ROUTING_FIRST + (tokenIds.length + 1) * topK);
  const pageTable = new Uint32Array(PAGE_FIRST + pages.length + 3).fill(ABSENT);
  pageTable.set(pages, PAGE_FIRST);
  const { choices, fault: found } = await run(hashRouter, {
    params: {
      vocab: table.length / topK,
      top_k: topK,
      moe_index: MOE_INDEX,
      page_first: looksUp ? PAGE_FIRST : NO_PAGES,
      routing_first: ROUTING_FIRST,
      choice_count: bytes / 4,
      weight: WEIGHT,
    },
    buffers: { table, page_table: pageTable, choices: 3 * bytes },
    control: { tokens: tokenIds.length, tokenIds, fault },
    tokens: tokenIds.length + 1,
  });
  return { ...splitChoices(choices), fault: found };
}

/** Expects ids, slots, weights and fault to be right, and nothing else to be written. */
function expectRouted(result: Awaited<ReturnType<typeof route>>, routed: HashCase): void {
  const { table, topK, tokenIds, pages, fault = 0, looksUp = true } = routed;
  const expected = hashRouterReference(table, topK, tokenIds);
  const end = ROUTING_FIRST + expected.length;
  const { ids, slots, expert_weights } = result;
  const within = (words: ArrayLike<number>) => Array.from(words).slice(ROUTING_FIRST, end);

  expect(within(ids.words)).toEqual(expected);
  expect(within(expert_weights.floats)).toEqual(expected.map(() => Math.fround(WEIGHT)));
  expect(within(slots.words)).toEqual(
    looksUp ? expected.map((expert) => pages[expert]) : within(slots.before),
  );
  const absent = looksUp && expected.some((expert) => pages[expert] === ABSENT);
  expect(result.fault).toBe(absent ? MOE_INDEX + 1 : fault);
  for (const { words, before } of [ids, slots, expert_weights]) {
    expect(words.slice(0, ROUTING_FIRST)).toEqual(before.slice(0, ROUTING_FIRST));
    expect(words.slice(end)).toEqual(before.slice(end));
  }
}

kernelTest("hash_router gives each token the experts of its id", async ({ run }) => {
  const shape = fc.record({
    vocab: fc.constantFrom(1, 7, 300),
    experts: fc.constantFrom(1, 5, 128),
    topK: fc.constantFrom(1, 2, 3, 8),
    tokens: fc.constantFrom(1, 5, 32),
    absent: fc.constantFrom(2, 1000),
    looksUp: fc.boolean(),
    seed: fc.integer(),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ vocab, experts, topK, tokens, absent, looksUp, seed }) => {
      const random = createRandom(seed);
      const routed = {
        table: Uint32Array.from({ length: vocab * topK }, () => random.integer(experts)),
        topK,
        // One id past the last too.
        tokenIds: Array.from({ length: tokens }, () => random.integer(vocab + 1)),
        pages: Uint32Array.from({ length: experts }, () =>
          random.integer(absent) === 0 ? ABSENT : random.integer(1000),
        ),
        looksUp,
      };

      expectRouted(await route(run, routed), routed);
    }),
    { numRuns: NUM_RUNS },
  );
});

const SMALL = {
  table: Uint32Array.of(3, 1, 0, 2),
  topK: 2,
  tokenIds: [1, 0, 1],
  pages: Uint32Array.of(10, 11, 12, 13),
};

kernelTest("hash_router goes on where a token of its own layer has faulted", async ({ run }) => {
  const routed = { ...SMALL, fault: MOE_INDEX + 1 };

  expectRouted(await route(run, routed), routed);
});

kernelTest.for([1, MOE_INDEX, MOE_INDEX + 2])(
  "hash_router does nothing once the layer of fault %i has faulted",
  async (fault, { run }) => {
    const result = await route(run, { ...SMALL, pages: SMALL.pages.map(() => ABSENT), fault });

    expect(result.fault).toBe(fault);
    for (const { words, before } of [result.ids, result.slots, result.expert_weights]) {
      expect(words).toEqual(before);
    }
  },
);
