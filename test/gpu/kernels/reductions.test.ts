import { describe, expect } from "vitest";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import type { Constants } from "../../../src/gpu/kernel.ts";
import { headLinear } from "../../../src/kernels/head_linear.ts";
import {
  candidates,
  headParts,
  needsSubgroups,
  type Reduction,
  reduceParts,
  withLeastSubgroup,
} from "../../../src/kernels/parts.ts";
import { rmsNorm } from "../../../src/kernels/rms_norm.ts";
import { subgroupProbe } from "../../../src/kernels/subgroup_probe.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { headLinearReference } from "../../reference/kernels/head_linear.ts";
import { hasSubgroups, randomInput, randomMatrix } from "./cases.ts";

const SEED = 20_261_125;

/** What this browser's device can run of a family's candidates. */
function runnable(family: Readonly<Record<string, Reduction>>): (Reduction & { name: string })[] {
  return Object.entries(family)
    .map(([name, choice]) => ({ name, ...choice }))
    .filter((choice) => hasSubgroups || !needsSubgroups(choice));
}

/** How a choice orders its sums: in rows of as many lanes, by the same tree. */
function orderOf({ constants }: { readonly constants: Constants }): number {
  return constants.LANES!;
}

describe("sums over the lanes of a row", () => {
  const format = weightFormats.q8_0;
  const shape = { heads: 2, headRows: 37, firstRow: 0, rows: 37, cols: 32 * 19, xWidth: 32 * 19 };
  const tokens = 5;
  const random = createRandom(SEED);
  const { packed, weights } = randomMatrix(
    random,
    format,
    shape.heads * shape.headRows,
    shape.cols,
  );
  const x = randomInput(random, 8 * shape.heads * shape.xWidth);

  async function products(run: RunKernel, { reduce, constants }: Reduction, atOnce: 1 | 4) {
    const { heads, headRows, firstRow, rows, cols, xWidth } = shape;
    const { y } = await run(headLinear, {
      params: {
        heads,
        head_rows: headRows,
        first_row: firstRow,
        rows,
        head_cols: cols,
        x_width: xWidth,
      },
      buffers: { x, y: 4 * tokens * heads * rows },
      weights: packed,
      parts: [...weightParts(format), headParts.rows, reduce],
      constants: { ...constants, TOKENS: atOnce },
      control: { tokens },
    });
    return y;
  }

  const choices = runnable(candidates.matrix);

  kernelTest.for(choices)("are right with $name", async (choice, { run }) => {
    const y = await products(run, choice, 1);

    const used = x.subarray(0, tokens * shape.heads * shape.xWidth);
    expectWithin(y.floats, headLinearReference(weights, used, shape));
  });

  kernelTest("have the same bits with every part, for one token and for four", async ({ run }) => {
    const byOrder = new Map<number, Uint32Array>();
    for (const choice of choices) {
      for (const atOnce of [1, 4] as const) {
        const { words } = await products(run, choice, atOnce);
        const expected = byOrder.get(orderOf(choice)) ?? words;
        byOrder.set(orderOf(choice), expected);
        expect(words, `${choice.name}, ${atOnce} at once`).toEqual(expected);
      }
    }

    expect(byOrder.size).toBe(new Set(choices.map(orderOf)).size);
  });

  // Of an adapter that has no subgroups, which is no skip: such a device is never asked to.
  kernelTest.for(hasSubgroups ? [8] : [])(
    "need no barrier where subgroups have as many lanes, in %i rows",
    async (ROWS, { run, device }) => {
      const { subgroupMinSize = 4 } = device.adapterInfo;
      const constants = { LANES: subgroupMinSize, ROWS };
      const { workgroup, subgroup } = reduceParts;

      const { words } = await products(run, { reduce: workgroup, constants }, 1);
      const own = { reduce: subgroup, constants };
      const without = await products(run, withLeastSubgroup(own, subgroupMinSize), 1);

      expect(without.words).toEqual(words);
    },
  );
});

describe("norms", () => {
  kernelTest("have the same bits with every part of one order", async ({ run }) => {
    const [width, tokens] = [4 * 131, 3];
    const random = createRandom(SEED);
    const x = randomInput(random, tokens * width);
    const weight = randomInput(random, width);
    const byOrder = new Map<number, Uint32Array>();
    for (const choice of runnable(candidates.norm)) {
      const { y } = await run(rmsNorm, {
        params: { width, epsilon: 1e-5, has_residual: 0, has_scale: 0 },
        buffers: { x, weight, residual: 4, scale: 4, y: 4 * tokens * width },
        parts: [choice.reduce],
        constants: choice.constants,
        control: { tokens },
      });
      const expected = byOrder.get(orderOf(choice)) ?? y.words;
      byOrder.set(orderOf(choice), expected);
      expect(y.words, choice.name).toEqual(expected);
    }

    expect(byOrder.size).toBe(3);
  });
});

kernelTest("subgroup_probe finds neighbours, where there are subgroups", async ({ run }) => {
  // Chromium's adapter has them: without them its tests of subgroups would pass untried.
  expect(hasSubgroups).toBe(!navigator.userAgent.includes("Firefox"));
  for (const { name, constants } of runnable(candidates.matrix).filter(needsSubgroups)) {
    const { found } = await run(subgroupProbe, {
      params: { unused: 0 },
      buffers: { found: new Uint32Array(2) },
      constants,
      control: { tokens: 1 },
    });

    expect([...found.words], name).toEqual([0, constants.LANES! * constants.ROWS!]);
  }
});
