import { describe, expect } from "vitest";
import { weightFormats } from "../../../src/formats/registry.ts";
import { PipelineCache } from "../../../src/gpu/pipelines.ts";
import { kernels } from "../../../src/kernels/index.ts";
import { activationParts, variants } from "../../../src/kernels/parts.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import { gpuTest } from "../../helpers/gpu.ts";

/** Every part that a kernel may ask for, with one choice where parts exclude each other. */
function partsFor(source: string, format: string, reduce: string): string[] {
  const parts: string[] = [];
  if (source.includes("load_weights(")) parts.push(format);
  if (source.includes("row_sum")) parts.push(reduce);
  if (source.includes("activate(")) parts.push(activationParts.silu);
  if (source.includes("router_score(")) parts.push(scoreFunctions.softmax.source);
  return parts;
}

/** One for the file, whose tests share a device: what does not depend on the format is compiled once. */
let shared: PipelineCache | undefined;
function pipelines(device: GPUDevice): PipelineCache {
  shared ??= new PipelineCache(device);
  return shared;
}

describe.for(Object.entries(variants))("variant %s", ([, variant]) => {
  gpuTest.for(Object.values(weightFormats))(
    "every kernel compiles with $name",
    async (format, { device }) => {
      const cache = pipelines(device);
      const compiled = await Promise.all(
        kernels.map((kernel) => {
          const sizes = Object.values(variant)
            .filter((part): part is Record<string, number> => typeof part === "object")
            .filter((part) => Object.keys(part).every((name) => name in kernel.constants))
            .sort((a, b) => Object.keys(b).length - Object.keys(a).length)[0];
          const constants = { ...kernel.constants, ...sizes };
          return cache.compile(
            kernel as never,
            partsFor(kernel.source, format.source, variant.reduce),
            constants,
          );
        }),
      );

      expect(compiled).toHaveLength(kernels.length);
    },
  );

  gpuTest("every activation and score function compiles", async ({ device }) => {
    const cache = pipelines(device);
    const gated = kernels.find((kernel) => kernel.name === "gated_unit")!;
    const router = kernels.find((kernel) => kernel.name === "router")!;
    const compiled = await Promise.all([
      ...Object.values(activationParts).map((part) =>
        cache.compile(gated as never, [part], gated.constants),
      ),
      ...Object.values(scoreFunctions).map((score) =>
        cache.compile(router as never, [weightFormats.f32.source, score.source], variant.router),
      ),
    ]);

    expect(compiled).toHaveLength(4);
  });
});
