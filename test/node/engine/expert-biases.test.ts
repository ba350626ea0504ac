import { expect, test } from "vitest";
import { biasesOf, planPools, readRecord } from "../../../src/engine/pool-layout.ts";
import { repackMatrix } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import type { MoeSpec } from "../../../src/ops/ops.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { type GgufTensor, g, writeGguf } from "../../helpers/gguf-writer.ts";

const [EXPERTS, FFN, HIDDEN] = [3, 32, 64];

const SPEC: MoeSpec = {
  layer: 0,
  pool: 0,
  experts: EXPERTS,
  topK: 1,
  hidden: HIDDEN,
  ffn: FFN,
  routerInput: "post-attention",
  router: "router",
  score: "softmax",
  renormalise: false,
  scale: 1,
  activation: "silu",
  gate: "gate",
  up: "up",
  down: "down",
};

const random = createRandom(1);
const values = (name: string, width: number, rows: number) =>
  [name, normalArray(random, EXPERTS * rows * width), [EXPERTS, rows, width]] as const;
const MATRICES = [
  values("gate", HIDDEN, FFN),
  values("up", HIDDEN, FFN),
  values("down", FFN, HIDDEN),
];
const BIASES = [
  values("gate bias", FFN, 1),
  values("up bias", FFN, 1),
  values("down bias", HIDDEN, 1),
];

/** A file with the experts' matrices in Q8_0 and their biases in `biasFormat`. */
function fileOf(biasFormat: "f32" | "f16") {
  const { q8_0 } = weightFormats;
  const tensors: GgufTensor[] = [
    ...MATRICES.map(([name, data, shape]) => ({
      name,
      shape,
      ggmlType: q8_0.ggmlType,
      data: q8_0.encode(data),
    })),
    ...BIASES.map(([name, data, [experts, , width]]) => ({
      name,
      shape: [experts, width],
      ggmlType: weightFormats[biasFormat].ggmlType,
      data: weightFormats[biasFormat].encode(data),
    })),
  ];
  const metadata = { "general.architecture": g.string("any") };
  return openGguf(memorySource(writeGguf({ metadata, tensors })));
}

const BIASED = { ...SPEC, gateBias: "gate bias", upBias: "up bias", downBias: "down bias" };

test("a record holds an expert's matrices, then its biases in f32", async () => {
  const file = await fileOf("f32");
  const [layout] = planPools(file, [BIASED]);
  const biases = biasesOf(layout!)!;

  const record = await readRecord(file, layout!, 2, {});

  expect(record).toHaveLength(layout!.recordBytes);
  for (const [index, { byteOffset }] of [layout!.gate, layout!.up, layout!.down].entries()) {
    const [, data, [, rows, width]] = MATRICES[index]!;
    const own = data.slice(2 * rows * width, 3 * rows * width);
    const packed = repackMatrix(weightFormats.q8_0, weightFormats.q8_0.encode(own));
    expect(record.slice(byteOffset, byteOffset + packed.length)).toEqual(packed);
  }
  for (const [index, first] of [biases.gateFirst, biases.upFirst, biases.downFirst].entries()) {
    const [, data, [, , width]] = BIASES[index]!;
    const found = new Float32Array(record.buffer, 4 * first, width);
    expect(found).toEqual(data.slice(2 * width, 3 * width));
  }
});

test("a bias that the file does not have is zero", async () => {
  const file = await fileOf("f32");
  const [layout] = planPools(file, [{ ...SPEC, downBias: "down bias" }]);
  const { gateFirst, downFirst } = biasesOf(layout!)!;

  const record = await readRecord(file, layout!, 0, {});

  expect(new Float32Array(record.buffer, 4 * gateFirst, FFN)).toEqual(new Float32Array(FFN));
  expect(new Float32Array(record.buffer, 4 * downFirst, HIDDEN)).toEqual(
    BIASES[2]![1].slice(0, HIDDEN),
  );
});

test("without biases a record has its matrices alone", async () => {
  const [layout] = planPools(await fileOf("f32"), [SPEC]);
  const { down, recordBytes } = layout!;

  expect(biasesOf(layout!)).toBe(undefined);
  // Q8_0 on the GPU: a byte a weight, and two for each 32.
  expect(recordBytes).toBe(down.byteOffset + FFN * HIDDEN * (1 + 2 / 32));
});

test("biases in another format are refused by name", async () => {
  const file = await fileOf("f16");
  expect(() => planPools(file, [BIASED])).toThrow(
    expect.objectContaining({
      code: "unsupported-format",
      message: expect.stringContaining("gate bias is of tensor type 1"),
    }),
  );
});
