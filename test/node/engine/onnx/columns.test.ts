import { describe, expect, test } from "vitest";
import {
  ColumnSlots,
  PRODUCTS,
  planColumns,
  type SlotMemory,
} from "../../../../src/engine/onnx/experts/columns.ts";
import { planPools, readRecord } from "../../../../src/engine/pool-layout.ts";
import { ExpertCache } from "../../../../src/experts/expert-cache.ts";
import { lru } from "../../../../src/experts/policies/lru.ts";
import type { Columns } from "../../../../src/formats/columns.ts";
import { openGguf } from "../../../../src/gguf/gguf.ts";
import { readModel } from "../../../../src/models/registry.ts";
import { memorySource } from "../../../../src/storage/memory-source.ts";
import { withTurnedDown } from "../../../helpers/gguf-layouts.ts";
import { type TinyModelOptions, tinyModel } from "../../../helpers/tiny-models.ts";
import { decodedWeights, modelFileOf } from "../../../reference/model.ts";

const EXPERTS = 4;
const SIZES = {
  layers: 1,
  experts: EXPERTS,
  hidden: 64,
  ffn: 96,
  heads: 2,
  kvHeads: 2,
  headDim: 32,
};

/** The weights `[cols, rows]` of a matrix whose groups have numbers that are `stride` apart. */
function weightsOf(columns: Columns, stride: number): Float32Array {
  if (columns.kind === "floats") return columns.values;
  const { quants, scales, mins, groupWeights } = columns;
  return Float32Array.from(quants, (quant, index) => {
    const group = Math.floor(index / (stride * groupWeights)) * stride + (index % stride);
    return quant * scales[group]! - (mins?.[group] ?? 0);
  });
}

/** Memory of this thread alone. */
const MEMORY: SlotMemory = {
  openSlot: (_, bytes) => new Uint8Array(bytes),
  dropSlots: () => {},
};

/** A model's first pool, with room for so many of its experts. */
async function openPool(bytes: Uint8Array, slots: number) {
  const file = await openGguf(memorySource(bytes));
  const spec = readModel(modelFileOf(file));
  const moe = spec.moe[0]!;
  const [pool] = planPools(file, spec.moe);
  const layout = planColumns(pool!, moe);
  const cache = new ExpertCache({ experts: EXPERTS, slotCounts: [slots], createPolicy: lru });
  const columns = new ColumnSlots([layout], cache, MEMORY);
  const weights = decodedWeights(file, bytes);
  return {
    ...{ layout, cache, columns },
    /** Brings an expert as the engine does. */
    async bring(expert: number) {
      const load = cache.beginLoad(0, expert)!;
      columns.upload(0, load.slot, await readRecord(file, pool!, expert, {}));
      cache.commit(0, expert);
    },
    /** Fails unless a slot has an expert's weights. */
    expectHas(expert: number) {
      const { matrices, biases } = columns.expert(0, cache.slotOf(0, expert)!);
      for (const name of PRODUCTS) {
        const [rows, cols] = layout.shapes[name];
        const { data, shape } = weights(moe[name]);
        const own = data.subarray(expert * rows * cols, (expert + 1) * rows * cols);
        const isTurned = shape[1] === cols && rows !== cols;
        const wanted = Float32Array.from(own, (_, index) => {
          const [row, col] = [index % rows, Math.floor(index / rows)];
          return isTurned ? own[index]! : own[row * cols + col]!;
        });
        const groupsAlongRows = layout.pool.downByColumns && name === "down";
        expect(weightsOf(matrices[name], groupsAlongRows ? 1 : rows), name).toEqual(wanted);
        const bias = moe[`${name}Bias`];
        if (bias === undefined) continue;
        const values = weights(bias).data.subarray(expert * rows, (expert + 1) * rows);
        expect(biases![name], `${name} bias`).toEqual(values);
      }
    },
  };
}

const MODELS: Readonly<Record<string, TinyModelOptions>> = {
  "one format": { architecture: "qwen3moe", ...SIZES, format: "q4_1" },
  "a format for each matrix": {
    ...{ architecture: "qwen3moe", ...SIZES },
    formats: {
      "blk.0.ffn_gate_exps.weight": "q8_0",
      "blk.0.ffn_up_exps.weight": "bf16",
      "blk.0.ffn_down_exps.weight": "q5_1",
    },
  },
  biases: { architecture: "gpt-oss", ...SIZES, format: "mxfp4" },
};

describe("slots of expert columns", () => {
  test.for(Object.entries(MODELS))("have what the file has: %s", async ([, options]) => {
    const { bring, expectHas, columns, layout } = await openPool(tinyModel(options), 2);

    await bring(1);
    expect(columns.bytes).toBe(layout.slotBytes);
    await bring(3);
    expectHas(1);
    expectHas(3);
    // In the place of the one before, of which nothing stays.
    await bring(0);

    expectHas(3);
    expectHas(0);
    expect(columns.bytes).toBe(2 * layout.slotBytes);
    for (const name of PRODUCTS) expect(layout.offsets[name] % 16).toBe(0);
  });

  test("have what a file that stores down by columns has", async () => {
    const bytes = tinyModel({ ...MODELS["one format"]!, ffn: 128, architecture: "smallthinker" });
    const { bring, expectHas, layout } = await openPool(await withTurnedDown(bytes), 2);
    expect(layout.pool.downByColumns).toBe(true);

    for (const expert of [2, 0]) await bring(expert);

    for (const expert of [2, 0]) expectHas(expert);
  });

  test("keep their experts when there are more or fewer of them", async () => {
    const { bring, expectHas, columns, cache, layout } = await openPool(
      tinyModel(MODELS["one format"]!),
      2,
    );
    await bring(1);
    await bring(3);

    await columns.resize([4]);
    expectHas(1);
    expectHas(3);
    await bring(2);
    expectHas(2);
    await columns.resize([1]);

    expect(cache.ready(0)).toHaveLength(1);
    expectHas(cache.ready(0)[0]!);
    expect(columns.bytes).toBe(layout.slotBytes);
  });
});
