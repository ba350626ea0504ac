import { describe, expect, test } from "vitest";
import { expertSlice, piecesOf, stackExperts } from "../../../src/gguf/expert-stacks.ts";
import { type GgufFile, openGguf } from "../../../src/gguf/gguf.ts";
import type { TensorInfo } from "../../../src/gguf/tensors.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { withFusedGateUp, withSingleExperts } from "../../helpers/gguf-layouts.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const EXPERTS = 6;
const SHAPE = { hidden: 64, ffn: 32, experts: EXPERTS, layers: 2, format: "q8_0" } as const;
const MODEL = tinyModel({ architecture: "qwen3moe", ...SHAPE });

/** The bytes of every tensor, and of each expert of a stack. */
async function contentsOf({ source, tensors }: GgufFile) {
  const read = (piece: { byteOffset: number; bytes: number }) =>
    source.read(piece.byteOffset, piece.bytes);
  const contents = new Map<string, unknown>();
  for (const [name, info] of tensors) {
    const { ggmlType, shape, bytes } = info;
    const pieces = await Promise.all(piecesOf(info).map(read));
    const data = Buffer.concat(pieces).toString("base64");
    const slices = name.includes("_exps")
      ? Array.from({ length: EXPERTS }, (_, expert) => expertSlice(info, expert))
      : [];
    const experts = (await Promise.all(slices.map(read))).map((slice) =>
      Buffer.from(slice).toString("base64"),
    );
    contents.set(name, { ggmlType, shape, bytes, data, experts });
  }
  return contents;
}

describe.for([
  ["gate and up in one tensor", withFusedGateUp],
  ["a tensor for each expert", withSingleExperts],
] as const)("a file with %s", ([, change]) => {
  test("has the stacks of the ordinary file", async () => {
    const changed = await change(MODEL);
    expect(changed).not.toEqual(MODEL);

    const stacked = await contentsOf(await openGguf(memorySource(changed)));

    const ordinary = await contentsOf(await openGguf(memorySource(MODEL)));
    const byName = (contents: Map<string, unknown>) => Object.fromEntries([...contents].sort());
    expect(byName(stacked)).toEqual(byName(ordinary));
  });
});

describe("what makes no stack is refused with a sentence", () => {
  const single = (expert: number, change: Partial<TensorInfo> = {}): TensorInfo => ({
    name: `blk.1.ffn_up.${expert}.weight`,
    ...{ ggmlType: 0, shape: [2, 3], byteOffset: 64 * expert, bytes: 24 },
    ...change,
  });
  const stack = (name: string, rows: number): TensorInfo => ({
    name: `blk.0.${name}_exps.weight`,
    ...{ ggmlType: 0, shape: [2, rows, 3], byteOffset: 0, bytes: 24 * rows },
  });

  test.for<[string, readonly TensorInfo[], RegExp]>([
    [
      "a missing expert",
      [single(0), single(2)],
      /no tensor for expert 1 of blk\.1\.ffn_up_exps\.w/,
    ],
    ["a missing first expert", [single(1)], /no tensor for expert 0 of blk\.1\.ffn_up_exps\.w/],
    [
      "experts in different formats",
      [single(0), single(1, { ggmlType: 1, bytes: 12 })],
      /blk\.1\.ffn_up\.0\.weight and blk\.1\.ffn_up\.1\.weight in different/,
    ],
    [
      "experts in different shapes",
      [single(0), single(1, { shape: [3, 2] })],
      /in different shapes/,
    ],
    [
      "one stack in two forms",
      [stack("ffn_gate", 1), stack("ffn_gate_up", 2)],
      /has blk\.0\.ffn_gate_exps\.weight in two forms/,
    ],
    [
      "an odd number of rows",
      [stack("ffn_gate_up", 3)],
      /odd number of rows in blk\.0\.ffn_gate_up/,
    ],
  ])("%s", ([, tensors, message]) => {
    const stacking = () =>
      stackExperts(new Map(tensors.map((info) => [info.name, info])), "a.gguf");

    expect(stacking).toThrow(
      expect.objectContaining({ code: "bad-file", message: expect.stringMatching(message) }),
    );
  });
});
