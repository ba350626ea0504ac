import { describe, expect, test } from "vitest";
import { planPools, readRecord } from "../../../src/engine/pool-layout.ts";
import { formatOf } from "../../../src/engine/tensor-reader.ts";
import { repackMatrix, type WeightFormat } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import type { MoeSpec } from "../../../src/ops/ops.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { writeGguf } from "../../helpers/gguf-writer.ts";

const EXPERTS = 3;

/** A file with the matrices of three experts, and each expert's blocks by matrix. */
async function expertsIn(formats: Readonly<Record<"gate" | "up" | "down", WeightFormat>>) {
  const [hidden, ffn] = [3 * Math.max(8, formats.gate.blockWeights, formats.up.blockWeights), 1];
  const shapes = { gate: [ffn, hidden], up: [ffn, hidden], down: [hidden, ffn] };
  const random = createRandom(1);
  const blocks = Object.entries(formats).map(([matrix, format]) => ({
    matrix: matrix as keyof typeof formats,
    format,
    experts: Array.from({ length: EXPERTS }, () =>
      format.encode(normalArray(random, hidden * ffn)),
    ),
  }));
  const bytes = writeGguf({
    metadata: {},
    tensors: blocks.map(({ matrix, format, experts }) => ({
      name: matrix,
      shape: [EXPERTS, ...shapes[matrix]],
      ggmlType: format.ggmlType,
      data: Uint8Array.from(experts.flatMap((expert) => [...expert])),
    })),
  });
  const spec = { pool: 0, experts: EXPERTS, hidden, ffn, gate: "gate", up: "up", down: "down" };
  return { file: await openGguf(memorySource(bytes)), spec: spec as MoeSpec, blocks };
}

describe.for(Object.values(weightFormats))("experts in $name", (format) => {
  const formats = { gate: format, up: weightFormats.q5_0, down: weightFormats.f32 };

  test("are laid out matrix by matrix, each in its format, wherever they start in the file", async () => {
    const { file, spec, blocks } = await expertsIn(formats);
    const layout = planPools(file, [spec])[0]!;

    for (let expert = 0; expert < EXPERTS; expert++) {
      const record = await readRecord(file, layout, expert, {});

      expect(record.length).toBe(layout.recordBytes);
      for (const { matrix, format: own, experts } of blocks) {
        const packed = repackMatrix(own, experts[expert]!);
        const { byteOffset } = layout[matrix];
        expect(byteOffset % 16).toBe(0);
        expect(record.subarray(byteOffset, byteOffset + packed.length)).toEqual(packed);
      }
    }
  });
});

test("an expert in a format that there is not is refused, with the names of those that there are", () => {
  const info = { name: "blk.0.ffn_up_exps.weight", ggmlType: 16 } as Parameters<typeof formatOf>[0];

  expect(() => formatOf(info)).toThrow(
    expect.objectContaining({
      code: "unsupported-format",
      message: expect.stringMatching(/ffn_up_exps\.weight is stored as IQ2_XXS.* Q4_K,.* MXFP4,/),
    }),
  );
});
