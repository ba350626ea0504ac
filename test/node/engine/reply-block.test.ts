import { expect, test } from "vitest";
import {
  chooserOf,
  encodeReplyBlock,
  REPLY_BLOCK_BYTES,
  seenTokens,
} from "../../../src/engine/reply-block.ts";
import { PLAIN } from "../../../src/engine/sampler.ts";

const WARM = { ...PLAIN, temperature: 0.5 };

test.for([
  [PLAIN, "top"],
  [{ ...PLAIN, topK: 5, topP: 0.5 }, "top"],
  [{ ...WARM, topK: 1 }, "top"],
  [{ ...PLAIN, repetitionPenalty: 1.1 }, "penalised"],
  [{ ...PLAIN, repetitionPenalty: 1.1, repetitionWindow: 0 }, "top"],
  [WARM, "drawn"],
  [{ ...WARM, minP: 0.1 }, "drawn"],
  [{ ...WARM, topK: 40 }, "drawnTopK"],
  [{ ...WARM, topK: 300 }, "drawn"],
  [{ ...WARM, topK: Infinity }, "drawn"],
  [{ ...WARM, topP: 0.9 }, "drawnTopP"],
  [{ ...WARM, topK: 40, topP: 0.9 }, "drawnTopKP"],
] as const)("%o are followed by %s", ([sampler, chooser]) => {
  expect(chooserOf(sampler, 300)).toBe(chooser);
});

test("the block holds the settings in the order of the shader's struct", () => {
  const sampler = { ...WARM, topK: 7, topP: 0.25, minP: Math.exp(-2), repetitionPenalty: 1.5 };
  const seed = 2 ** 32 * 3 + 9;
  const block = encodeReplyBlock({ endTokens: [2, 5], sampler, seed, vocab: 300 });
  const floats = new Float32Array(block.buffer);

  expect([block[0], block[2], ...block.subarray(6)]).toEqual([2, 7, 64, 9, 3, 2, 5]);
  expect([floats[1], floats[3], floats[4], floats[5]]).toEqual([0.5, 0.25, 2, 1.5]);
});

test("end tokens beyond the block's room are left to the host", () => {
  const endTokens = Array.from({ length: 100 }, (_, token) => token);
  const block = encodeReplyBlock({ endTokens, sampler: PLAIN, seed: 0, vocab: 300 });

  expect(block.byteLength).toBe(REPLY_BLOCK_BYTES);
  expect(block[0]).toBe(64);
});

test("tokens are seen at their last place, where a penalty looks", () => {
  const penalty = { ...PLAIN, repetitionPenalty: 2 };

  expect([...seenTokens(penalty, [3, 1, 3], 5)!]).toEqual([0, 2, 0, 3, 0]);
  expect(seenTokens(PLAIN, [3, 1, 3], 5)).toBe(undefined);
});
