import { describe, expect, test } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { bytesPerCached, bytesPerWeight, workBytes } from "../../../src/formats/footprint.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import type { Kernel } from "../../../src/gpu/kernel.ts";
import { attention, spansSeen } from "../../../src/kernels/attention.ts";
import { attentionMerge } from "../../../src/kernels/attention_merge.ts";
import { expertGateUp } from "../../../src/kernels/expert_gate_up.ts";
import { groupedGateUp } from "../../../src/kernels/grouped_gate_up.ts";
import { kernels } from "../../../src/kernels/index.ts";
import { matvec } from "../../../src/kernels/matvec.ts";
import { headParts, matricesParts, rowDotsParts } from "../../../src/kernels/parts.ts";

/** A value for every param: sizes that divide one another, and yes to every question. */
function someParams({ params }: Kernel): Record<string, number> {
  return Object.fromEntries(
    Object.keys(params).map((name) => [name, name.startsWith("has_") ? 1 : 64]),
  );
}

/** Kernels that write to a cache, which is no weight of theirs. */
const appenders = ["rotate_append", "self_attention"];

/** Params that are all 0. */
function noParams<Name extends string>({ params }: { params: Record<Name, unknown> }) {
  return Object.fromEntries(Object.keys(params).map((name) => [name, 0])) as Record<Name, number>;
}

describe.for(kernels as unknown as readonly Kernel[])("the work of $name", (kernel) => {
  test("is stated, and grows with the pass", () => {
    const work = (tokens: number) => {
      const own = kernel.work?.(someParams(kernel), kernel.constants, { tokens, position: 5 });
      if (!own) throw new Error(`${kernel.name} does not say what it does`);
      return own;
    };

    for (const tokens of [1, 32]) {
      const { words, multiplyAdds, weights = {}, cached = 0 } = work(tokens);
      const numbers = [words, multiplyAdds, cached, ...Object.values(weights)];
      expect(numbers.every((number) => Number.isFinite(number) && number >= 0)).toBe(true);
      expect(words).toBeGreaterThan(0);
    }
    expect(work(32).words).toBeGreaterThanOrEqual(work(1).words);
    expect(work(32).multiplyAdds).toBeGreaterThanOrEqual(work(1).multiplyAdds);
  });

  test("names weights that its shader loads", () => {
    const text = [kernel.source, ...matricesParts, ...Object.values(headParts)].join("\n");
    const own = kernel.work?.(someParams(kernel), kernel.constants, { tokens: 1, position: 0 });
    const names = Object.keys(own?.weights ?? {});

    for (const name of names) {
      const loads = [`${name}(`, `row_dots_${name.slice("load_".length)}(`];
      expect(loads.some((load) => text.includes(load))).toBe(true);
    }
    const readsOrCaches = names.length > 0 || own?.cached !== undefined;
    expect(readsOrCaches).toBe(Boolean(kernel.weights) || appenders.includes(kernel.name));
  });
});

describe("bytes of work", () => {
  test.for([
    ["f32", 4],
    ["f16", 2],
    ["q8_0", 34 / 32],
    ["q4_0", 18 / 32],
    ["q4_k", 144 / 256],
    ["q6_k", 210 / 256],
  ] as const)("a weight in %s takes %d bytes", ([name, bytes]) => {
    expect(bytesPerWeight(weightFormats[name])).toBe(bytes);
  });

  test.for([
    ["f32", 4],
    ["f16", 2],
    ["q8_0", 1 + 1 / 8],
  ] as const)("a cached number in %s takes %d bytes", ([name, bytes]) => {
    expect(bytesPerCached(cacheFormats[name])).toBe(bytes);
  });

  test("a product reads its matrix in its format, and vectors in f32", () => {
    const params = { ...noParams(matvec), rows_a: 8, rows_c: 4, cols: 64, has_residual: 1 };
    const work = matvec.work!(params, matvec.constants, { tokens: 2, position: 0 });

    expect(work.multiplyAdds).toBe(2 * 12 * 64);
    const parts = [
      ...rowDotsParts(weightFormats.q4_0, "a"),
      ...rowDotsParts(weightFormats.q8_0, "c", { binding: 2 }),
    ];
    const weights = (8 * 64 * 18) / 32 + (4 * 64 * 34) / 32;
    expect(workBytes(work, parts)).toBe(weights + 4 * 2 * (64 + 12 + 12));
  });

  test("matrices of two formats count each in its own", () => {
    const parts = [
      ...weightParts(weightFormats.q4_0, "load_gate"),
      ...weightParts(weightFormats.q8_0, "load_up"),
    ];
    const work = { words: 0, multiplyAdds: 0, weights: { load_gate: 320, load_up: 320 } };

    expect(workBytes(work, parts)).toBe(10 * 18 + 10 * 34);
  });

  test("a name that nothing loads is a bug", () => {
    const work = { words: 0, multiplyAdds: 0, weights: { load_gate: 32 } };

    expect(() => workBytes(work, weightParts(weightFormats.q4_0))).toThrow("load_gate");
  });

  test.for([expertGateUp, groupedGateUp])(
    "tokens that share experts read each once: $name",
    ({ params, constants, work: workOf }) => {
      const none = Object.fromEntries(Object.keys(params).map((name) => [name, 0]));
      const layer = { ...none, cols: 64, ffn: 32, top_k: 4, arena_slots: 8 };
      const work = (tokens: number) => workOf!(layer as never, constants, { tokens, position: 0 });

      expect(work(1).weights).toEqual({ load_gate: 4 * 64 * 32, load_up: 4 * 64 * 32 });
      expect(work(16).weights).toEqual({ load_gate: 8 * 64 * 32, load_up: 8 * 64 * 32 });
      expect(work(16).multiplyAdds).toBe(16 * 4 * 2 * 64 * 32);
    },
  );

  test("attention reads the keys that its queries see", () => {
    const quads = { key_quads: 2, value_quads: 2, values_first: 1 };
    const params = { ...noParams(attention), heads: 4, kv_heads: 2, ...quads, window: 10 };
    const work = (tokens: number, position: number) =>
      attention.work!(params, attention.constants, { tokens, position });

    expect(work(1, 3)).toMatchObject({ cached: 4 * 2 * 16, multiplyAdds: 4 * 4 * 16 });
    // Past the window, the last 10 keys of each query: 12 different ones for 3 neighbours.
    expect(work(3, 100)).toMatchObject({ cached: 12 * 2 * 16, multiplyAdds: 4 * 30 * 16 });
  });

  test("attention whose keys are split leaves a part for each span that a query sees", () => {
    const split = { heads: 4, value_quads: 2, window: 100, span_keys: 8, splits: 16 };
    const params = { ...noParams(attention), kv_heads: 2, key_quads: 2, ...split };
    const merge = { ...noParams(attentionMerge), ...split };
    const pass = { tokens: 2, position: 15 }; // 16 keys lie in two spans, 17 in three

    expect(spansSeen(params, pass)).toBe(2 + 3);
    const parts = 4 * 4 * 5 * 3;
    const own = attention.work!(params, attention.constants, pass);
    expect(own.words).toBe(4 * 4 * 2 * 2 + parts);
    const merged = attentionMerge.work!(merge, attentionMerge.constants, pass);
    expect(merged).toEqual({ words: parts + 4 * 4 * 2 * 2, multiplyAdds: 2 * 4 * 5 * 8 });
    // A window may begin in the middle of a span.
    expect(spansSeen({ window: 8, span_keys: 8 }, { tokens: 1, position: 10 })).toBe(2);
  });
});
