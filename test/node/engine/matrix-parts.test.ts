import fc from "fast-check";
import { expect, test } from "vitest";
import { planRowParts } from "../../../src/engine/matrix-parts.ts";
import { planPlanes } from "../../../src/formats/format.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { runs } from "../../helpers/random-cases.ts";

const MIB = 1 << 20;

test("parts cover all rows in order, within the limit, and are as few as can be", () => {
  const shape = fc.record({
    format: fc.constantFrom(...Object.values(weightFormats)),
    rows: fc.integer({ min: 1, max: 3000 }),
    blocks: fc.integer({ min: 1, max: 9 }),
    limit: fc.integer({ min: 1, max: 1e6 }),
  });
  fc.assert(
    fc.property(shape, ({ format, rows, blocks, limit }) => {
      const cols = blocks * Math.max(8, format.blockWeights);
      const bytesOf = (count: number) => planPlanes(format, count * cols).bytes;

      const parts = planRowParts(format, [rows, cols], limit);

      let next = 0;
      for (const part of parts) {
        expect(part.firstRow).toBe(next);
        expect(part.rows).toBeGreaterThan(0);
        next += part.rows;
        if (bytesOf(1) <= limit) expect(bytesOf(part.rows)).toBeLessThanOrEqual(limit);
      }
      expect(next).toBe(rows);
      const fewer = Math.ceil(rows / Math.max(1, parts.length - 1));
      if (parts.length > 1) expect(bytesOf(fewer)).toBeGreaterThan(limit);
    }),
    { numRuns: runs(100) },
  );
});

test.for([
  // gpt-oss-20b's embedding, in formats of published files, on a device of WebGPU's default limit.
  ["f16", 9],
  ["q8_0", 5],
  ["q4_0", 3],
] as const)("201088 rows of 2880 in %s take %i buffers of 128 MiB", ([name, count]) => {
  const parts = planRowParts(weightFormats[name], [201_088, 2880], 128 * MIB);

  expect(parts).toHaveLength(count);
});
