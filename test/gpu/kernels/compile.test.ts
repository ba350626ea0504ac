import { describe, expect } from "vitest";
import { weightFormats } from "../../../src/formats/registry.ts";
import type { Constants } from "../../../src/gpu/kernel.ts";
import { PipelineCache } from "../../../src/gpu/pipelines.ts";
import { kernels } from "../../../src/kernels/index.ts";
import { activationParts, convParts, rankingParts, variants } from "../../../src/kernels/parts.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import { gpuTest } from "../../helpers/gpu.ts";

/** Every part that a kernel may ask for, with one choice where parts exclude each other. */
function partsFor(source: string, format: string, reduce: string): string[] {
  const parts: string[] = [];
  if (source.includes("load_weights(")) parts.push(format);
  if (source.includes("row_sum")) parts.push(reduce);
  if (source.includes("conv_input(")) parts.push(convParts.gated);
  if (source.includes("gated(")) parts.push(activationParts.silu);
  if (source.includes("router_score(")) {
    parts.push(...scoreFunctions.softmax.parts, rankingParts.byLogit);
  }
  return parts;
}

/** The names of what a variant decides: all constants but those that say what a kernel computes. */
function sizes(constants: Constants): string {
  return Object.keys(constants)
    .filter((name) => name !== "BIASED")
    .join();
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
          const chosen = Object.values(variant).find(
            (part): part is Record<string, number> =>
              typeof part === "object" && sizes(kernel.constants) === sizes(part),
          );
          const constants = { ...kernel.constants, ...chosen };
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

  gpuTest("every activation, score function and ranking compiles", async ({ device }) => {
    const cache = pipelines(device);
    const gated = kernels.find((kernel) => kernel.name === "gated_unit")!;
    const router = kernels.find((kernel) => kernel.name === "router")!;
    const compiled = await Promise.all([
      ...Object.values(activationParts).map((part) =>
        cache.compile(gated as never, [part], gated.constants),
      ),
      ...Object.values(scoreFunctions).flatMap((score) =>
        Object.values(rankingParts).map((ranking) => {
          const parts = [weightFormats.f32.source, ...score.parts, ranking];
          return cache.compile(router as never, parts, variant.router);
        }),
      ),
    ]);

    const routers = Object.keys(scoreFunctions).length * Object.keys(rankingParts).length;
    expect(compiled).toHaveLength(Object.keys(activationParts).length + routers);
  });
});
