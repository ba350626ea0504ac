import { afterEach, expect, test, vi } from "vitest";
import { unallocatedResources } from "../../../src/engine/dry-run.ts";
import { planPools } from "../../../src/engine/pool-layout.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { architectures, readModel } from "../../../src/models/registry.ts";
import { GpuOps } from "../../../src/ops/gpu-ops.ts";
import { Recorder } from "../../../src/ops/program.ts";
import { type StepWork, workOf } from "../../../src/ops/step-work.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const SMALL = { hidden: 32, ffn: 32, heads: 4, kvHeads: 2, headDim: 8, layers: 2 } as const;

const RECORD = Recorder.prototype.dispatch;

afterEach(() => vi.restoreAllMocks());

/** What each dispatch of a pass of a tiny model does, by the parts that it is recorded with. */
async function worksOf(architecture: keyof typeof architectures, tokens: number) {
  const head = architecture === "deepseek2" ? { headDim: 24, valueDim: 16 } : {};
  const file = await openGguf(memorySource(tinyModel({ ...SMALL, architecture, ...head })));
  const { metadata, tensors } = file;
  const spec = readModel({ metadata, shape: (name) => tensors.get(name)?.shape });
  const resources = unallocatedResources(file, spec, planPools(file, spec.moe), {
    contextTokens: 64,
    cacheFormat: cacheFormats.q8_0,
  });
  const works: { readonly kernel: string; readonly work: StepWork }[] = [];
  vi.spyOn(Recorder.prototype, "dispatch").mockImplementation(function (
    this: Recorder,
    kernel,
    dispatch,
  ) {
    const constants = { ...kernel.constants, ...dispatch.constants };
    const work = workOf(kernel, dispatch, constants)!({ tokens, position: 3 });
    works.push({ kernel: kernel.name, work });
    RECORD.call(this, kernel, dispatch);
  });
  spec.forward(new GpuOps(resources, spec.moe, { maxTokens: tokens, scores: true }));
  return works;
}

test.for(Object.keys(architectures) as (keyof typeof architectures)[])(
  "every step of %s says what it does, in formats that it was linked with",
  async (architecture) => {
    for (const tokens of [1, 32]) {
      const works = await worksOf(architecture, tokens);

      expect(works.length).toBeGreaterThan(4);
      for (const { kernel, work } of works) {
        expect(work.bytes, kernel).toBeGreaterThan(0);
        expect(work.multiplyAdds, kernel).toBeGreaterThanOrEqual(0);
      }
    }
  },
);
