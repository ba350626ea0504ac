import fc from "fast-check";
import { expect } from "vitest";
import { groupTokens, mostTiles, TILE_PAIRS } from "../../../src/kernels/group_tokens.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, UNWRITTEN } from "../../helpers/run-kernel.ts";
import { groupTokensReference } from "../../reference/kernels/group_tokens.ts";
import { ABSENT } from "./arena.ts";

const NUM_RUNS = runs(12);

/** Slots of a pass's pairs: of one slot, of few, of more than a workgroup has lanes; some of them in none. */
const routing = fc
  .record({
    topK: fc.integer({ min: 1, max: 6 }),
    tokens: fc.integer({ min: 1, max: 40 }),
    slotCount: fc.constantFrom(1, 2, 7, 64, 65, 512),
    absent: fc.boolean(),
  })
  .chain(({ topK, tokens, slotCount, absent }) => {
    const present = fc.nat({ max: slotCount - 1 });
    const slot = absent ? fc.oneof(present, fc.constant(ABSENT)) : present;
    const slots = fc.array(slot, { minLength: tokens * topK, maxLength: tokens * topK });
    return fc.record({
      topK: fc.constant(topK),
      tokens: fc.constant(tokens),
      slotCount: fc.constant(slotCount),
      slots,
      routingFirst: fc.constantFrom(0, 5),
      constants: fc.constantFrom({ LANES: 64, TILE: 4 }, { LANES: 256, TILE: 8 }),
    });
  });

kernelTest("lists every pair that is there once, by slot", async ({ run }) => {
  await fc.assert(
    fc.asyncProperty(routing, async (drawn) => {
      const { topK, tokens, slotCount, slots, routingFirst, constants } = drawn;
      const tilePairs = constants.TILE;
      // Another layer's before them, and those of a token past the last behind them.
      const before = Array.from({ length: routingFirst }, () => 0);
      const behind = Array.from({ length: topK }, () => 0);
      const tileCount = mostTiles(slots.length, slotCount, tilePairs);
      const { pairs, tiles } = await run(groupTokens, {
        params: { top_k: topK, routing_first: routingFirst, slot_count: slotCount },
        buffers: {
          slots: Uint32Array.from([...before, ...slots, ...behind]),
          pairs: 4 * slots.length,
          tiles: 16 * (1 + tileCount),
        },
        constants,
        control: { tokens },
      });

      const expected = groupTokensReference(slots, slotCount, tilePairs);
      const there = slots.filter((slot) => slot !== ABSENT).length;
      expect(expected.pairs).toHaveLength(there);
      expect(inOrder(pairs.words.subarray(0, there), slots)).toEqual(expected.pairs);
      expect(tiles.words.subarray(0, expected.tiles.length)).toEqual(expected.tiles);
      for (const rest of [
        pairs.words.subarray(there),
        tiles.words.subarray(expected.tiles.length),
      ]) {
        expect(rest.every((word) => word === UNWRITTEN)).toBe(true);
      }
    }),
    { numRuns: NUM_RUNS },
  );
});

/** The same pairs, each slot's in order. */
function inOrder(pairs: Uint32Array<ArrayBuffer>, slots: readonly number[]): Uint32Array {
  const slotsListed = Array.from(pairs, (pair) => slots[pair]!);
  expect(slotsListed).toEqual(slotsListed.toSorted((a, b) => a - b));
  return pairs.toSorted((a, b) => slots[a]! - slots[b]! || a - b);
}

kernelTest("the most tiles are made where every slot has one that is not full", async ({ run }) => {
  const slots = [0, 1, 2].flatMap((slot) => new Array(slot === 2 ? 1 : TILE_PAIRS + 1).fill(slot));
  const { tiles } = await run(groupTokens, {
    params: { top_k: 1, routing_first: 0, slot_count: 3 },
    buffers: { slots: Uint32Array.from(slots), pairs: 4 * slots.length, tiles: 16 * 6 },
    control: { tokens: slots.length },
  });

  expect(mostTiles(slots.length, 3)).toBe(5);
  expect(tiles.words[0]).toBe(5);
});

kernelTest("does nothing once a router has faulted", async ({ run }) => {
  const { pairs, tiles } = await run(groupTokens, {
    params: { top_k: 1, routing_first: 0, slot_count: 1 },
    buffers: { slots: new Uint32Array(2), pairs: 8, tiles: 32 },
    control: { tokens: 2, fault: 1 },
  });

  expect(pairs.words).toEqual(pairs.before);
  expect(tiles.words).toEqual(tiles.before);
});
