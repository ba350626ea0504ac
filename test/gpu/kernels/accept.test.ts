import fc from "fast-check";
import { expect } from "vitest";
import { accept } from "../../../src/kernels/accept.ts";
import { shift } from "../../../src/kernels/shift.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { acceptReference } from "../../reference/kernels/accept.ts";

const MOST = 8;
const NOTHING = 0xffff_ffff;
/** Words of the control block before the token ids. */
const HEADER = 4;

async function accepted(
  run: RunKernel,
  tokens: readonly number[],
  known: number,
  verdict: readonly number[],
  fault = 0,
): Promise<Uint32Array> {
  const { control } = await run(accept, {
    params: { most: MOST },
    buffers: { verdict: Uint32Array.from(verdict) },
    control: { tokens: tokens.length, position: 5, tokenIds: [...tokens, known], fault },
    writesControl: true,
  });
  return control;
}

kernelTest("accept keeps what was drafted rightly, one token further", async ({ run }) => {
  // Two ids, so that drafts are right by chance.
  const id = fc.integer({ min: 3, max: 4 });
  const pass = fc.integer({ min: 1, max: MOST }).chain((length) =>
    fc.record({
      tokens: fc.array(id, { minLength: length, maxLength: length }),
      verdict: fc.array(id, { minLength: length, maxLength: length }),
      known: fc.integer({ min: 1, max: length }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(pass, async ({ tokens, verdict, known }) => {
      const control = await accepted(run, tokens, known, verdict);
      const kept = acceptReference(tokens, known, verdict);

      expect([...control.subarray(0, HEADER)]).toEqual([0, kept.length, 5, 0]);
      expect([...control.subarray(HEADER, HEADER + kept.length)]).toEqual(kept);
    }),
    { numRuns: runs(40) },
  );
});

kernelTest("accept does nothing once a router has faulted", async ({ run }) => {
  const control = await accepted(run, [1, 2], 1, [2, 3], 4);

  expect([...control]).toEqual([4, 2, 5, 0, 1, 2, 1]);
});

kernelTest.for([
  [9, [2, 3, 9]],
  [NOTHING, [2, 3, 77]],
] as const)("shift moves a pass one token on, to %i", async ([behind, ids], { run }) => {
  const { control } = await run(shift, {
    params: { most: MOST },
    buffers: { verdict: Uint32Array.of(77) },
    control: { tokens: 3, position: 6, tokenIds: [1, 2, 3, behind] },
    writesControl: true,
  });

  expect([...control.subarray(0, HEADER + 3)]).toEqual([0, 3, 6, 0, ...ids]);
});

kernelTest("shift does nothing once a router has faulted", async ({ run }) => {
  const { control } = await run(shift, {
    params: { most: MOST },
    buffers: { verdict: Uint32Array.of(77) },
    control: { tokens: 1, fault: 2, tokenIds: [1, 2] },
    writesControl: true,
  });

  expect([...control]).toEqual([2, 1, 0, 0, 1, 2]);
});
