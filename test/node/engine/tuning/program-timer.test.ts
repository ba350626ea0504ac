import { expect, test } from "vitest";
import { oneOfAKind } from "../../../../src/engine/tuning/program-timer.ts";

const program = { maxTokens: 8 };
const PIPELINES = [{}, {}] as GPUComputePipeline[];

/** A step of as much work, of the pipeline so numbered. */
function step(pipeline: number, multiplyAdds: number) {
  return {
    pipeline: PIPELINES[pipeline]!,
    work: () => ({ bytes: 4 * multiplyAdds, multiplyAdds }),
  };
}

test("one of a kind are the same steps whatever workgroups a candidate has", () => {
  const [wide, narrow] = [step(0, 1024), step(0, 64)];
  const other = step(1, 64);

  expect(oneOfAKind({ program, steps: [wide, narrow, other, wide, narrow, other] })).toEqual([
    wide,
    narrow,
    other,
  ]);
});
