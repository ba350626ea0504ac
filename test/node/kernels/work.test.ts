import { describe, expect, test } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { bytesPerCached, bytesPerWeight, workBytes } from "../../../src/formats/footprint.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import type { Kernel } from "../../../src/gpu/kernel.ts";
import { attention } from "../../../src/kernels/attention.ts";
import { expertGateUp } from "../../../src/kernels/expert_gate_up.ts";
import { kernels } from "../../../src/kernels/index.ts";
import { matvec } from "../../../src/kernels/matvec.ts";

/** A value for every param: sizes that divide one another, and yes to every question. */
function someParams({ params }: Kernel): Record<string, number> {
  return Object.fromEntries(
    Object.keys(params).map((name) => [name, name.startsWith("has_") ? 1 : 64]),
  );
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
    const own = kernel.work?.(someParams(kernel), kernel.constants, { tokens: 1, position: 0 });
    const names = Object.keys(own?.weights ?? {});

    for (const name of names) expect(kernel.source).toContain(`${name}(`);
    expect(names.length > 0 || own?.cached !== undefined).toBe(
      kernel.weights || kernel.name === "pack_cache",
    );
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
    ["q8_0", 1 + 1 / 16],
  ] as const)("a cached number in %s takes %d bytes", ([name, bytes]) => {
    expect(bytesPerCached(cacheFormats[name])).toBe(bytes);
  });

  test("a product reads its matrix in its format, and vectors in f32", () => {
    const params = { rows: 8, cols: 64, has_bias: 1, has_residual: 0, first_row: 0, all_rows: 8 };
    const work = matvec.work!({ ...params, scale: 1 }, matvec.constants, {
      tokens: 1,
      position: 0,
    });

    expect(work.multiplyAdds).toBe(8 * 64);
    const bytes = workBytes(work, weightParts(weightFormats.q4_0));
    expect(bytes).toBe((8 * 64 * 18) / 32 + 4 * (64 + 8 + 8));
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

  test("tokens that share experts read each once at least", () => {
    const params = Object.fromEntries(Object.keys(expertGateUp.params).map((name) => [name, 0]));
    const layer = { ...params, hidden: 64, ffn: 32, top_k: 4, arena_slots: 8 };
    const work = (tokens: number) =>
      expertGateUp.work!(layer as never, expertGateUp.constants, { tokens, position: 0 });

    expect(work(1).weights).toEqual({ load_gate: 4 * 64 * 32, load_up: 4 * 64 * 32 });
    expect(work(16).weights).toEqual({ load_gate: 8 * 64 * 32, load_up: 8 * 64 * 32 });
    expect(work(16).multiplyAdds).toBe(16 * 4 * 2 * 64 * 32);
  });

  test("attention reads the keys that its queries see", () => {
    const params = Object.fromEntries(Object.keys(attention.params).map((name) => [name, 0]));
    const shape = { heads: 4, kv_heads: 2, key_dim: 8, value_dim: 8, values_first: 1, window: 10 };
    const work = (tokens: number, position: number) =>
      attention.work!({ ...params, ...shape } as never, attention.constants, { tokens, position });

    expect(work(1, 3)).toMatchObject({ cached: 4 * 2 * 16, multiplyAdds: 4 * 4 * 16 });
    // Past the window, the last 10 keys of each query: 12 different ones for 3 neighbours.
    expect(work(3, 100)).toMatchObject({ cached: 12 * 2 * 16, multiplyAdds: 4 * 30 * 16 });
  });
});
