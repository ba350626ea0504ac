import { describe, expect, test } from "vitest";
import { plannedChunk, usedChunk } from "../../../src/engine/chunks.ts";
import type { ModelSpec } from "../../../src/models/model.ts";

/** What chunks depend on, of a model whose layers have experts and one square matrix. */
function model(shape: {
  layers: number;
  hidden: number;
  ffn: number;
  experts: number;
  topK: number;
}) {
  const { layers, hidden, ffn, experts, topK } = shape;
  const vocab = 1000;
  const each = Array.from({ length: layers }, (_, layer) => layer);
  return {
    hidden,
    vocab,
    resident: [
      { name: "head", shape: [vocab, hidden] },
      ...each.map((layer) => ({ name: `${layer}`, shape: [hidden, hidden] })),
    ],
    stacked: each.map((layer) => ({ name: `e${layer}`, shape: [experts, 3 * ffn, hidden] })),
    moe: each.map(() => ({ hidden, ffn, topK })),
  } as unknown as ModelSpec;
}

const tiny = model({ layers: 3, hidden: 64, ffn: 64, experts: 8, topK: 2 });
const small = model({ layers: 6, hidden: 256, ffn: 128, experts: 32, topK: 4 });
const large = model({ layers: 48, hidden: 2048, ffn: 768, experts: 128, topK: 8 });

describe("the chunk of a prompt", () => {
  test("is planned by what its scratch takes of the weights", () => {
    expect(plannedChunk(tiny)).toBe(32);
    expect(plannedChunk(small)).toBe(64);
    expect(plannedChunk(large)).toBe(512);
  });

  test("is used whole where no dispatch takes too long", () => {
    expect(usedChunk(small, true)).toBe(64);
    expect(usedChunk(large, false)).toBe(512);
  });

  test("is cut on a software adapter by the multiply-adds of its largest dispatch", () => {
    // 2 matrices * 8 experts * 2048 * 768 = 25 million a token, of 100 million in 200 ms.
    expect(usedChunk(large, true)).toBe(8);
  });

  test("does not count the head, which is computed for one token", () => {
    const wide = { ...small, vocab: 500_000, resident: [{ name: "head", shape: [500_000, 256] }] };
    // Its experts' 262144 allow 381; the head's 128 million would allow none.
    expect(usedChunk(wide, true)).toBe(256);
  });
});
