import { describe, expect } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import type { Constants, Kernel } from "../../../src/gpu/kernel.ts";
import { linkKernel, PipelineCache } from "../../../src/gpu/pipelines.ts";
import { attention } from "../../../src/kernels/attention.ts";
import { kernels } from "../../../src/kernels/index.ts";
import { packCache } from "../../../src/kernels/pack_cache.ts";
import {
  activationParts,
  convParts,
  inputParts,
  rankingParts,
  variants,
} from "../../../src/kernels/parts.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import { gpuTest } from "../../helpers/gpu.ts";

const formats = Object.values(weightFormats);

/** The names by which a kernel reads weights. */
function loadersOf({ source }: Kernel): string[] {
  return [...new Set(source.match(/\bload_\w+(?=\()/g))];
}

/**
 * Every part that a kernel may ask for, with one choice where parts exclude each other.
 * @param loaded the formats that its loaders read, in turn
 */
function partsFor(kernel: Kernel, loaded: readonly WeightFormat[], reduce: string): string[] {
  const { source } = kernel;
  const parts = loadersOf(kernel).flatMap((name, index) =>
    weightParts(loaded[index % loaded.length]!, name),
  );
  if (source.includes("row_sum")) parts.push(reduce);
  if (source.includes("input_factor(")) parts.push(inputParts.plain);
  if (source.includes("conv_input(")) parts.push(convParts.gated);
  if (source.includes("gated(")) parts.push(activationParts.silu);
  if (source.includes("router_score(")) {
    parts.push(...scoreFunctions.softmax.parts, rankingParts.byLogit);
  }
  if (source.includes("cache_quad(")) parts.push(cacheFormats.f32.read);
  if (source.includes("store_unit(")) parts.push(cacheFormats.f16.write!);
  return parts;
}

/** What variants decide; a kernel's other constants say what it computes. */
const sizeNames = new Set(
  Object.values(variants.serial).flatMap((part) =>
    typeof part === "object" ? Object.keys(part) : [],
  ),
);

/** The names of what a variant decides. */
function sizes(constants: Constants): string {
  return Object.keys(constants)
    .filter((name) => sizeNames.has(name))
    .join();
}

/** One for the file, whose tests share a device. */
let shared: PipelineCache | undefined;
function pipelines(device: GPUDevice): PipelineCache {
  shared ??= new PipelineCache(device);
  return shared;
}

const all = kernels as unknown as readonly Kernel[];

describe.for(Object.entries(variants))("variant %s", ([, variant]) => {
  gpuTest("every kernel compiles", async ({ device }) => {
    const cache = pipelines(device);
    const compiled = await Promise.all(
      all.map((kernel) => {
        const chosen = Object.values(variant).find(
          (part): part is Record<string, number> =>
            typeof part === "object" && sizes(kernel.constants) === sizes(part),
        );
        const constants = { ...kernel.constants, ...chosen };
        const parts = partsFor(kernel, [weightFormats.f32, weightFormats.q4_k], variant.reduce);
        return cache.compile(kernel, parts, constants);
      }),
    );

    expect(compiled).toHaveLength(kernels.length);
  });

  gpuTest.for(Object.values(cacheFormats))(
    "a KV cache in $name is read and written",
    async ({ read, write }, { device }) => {
      const cache = pipelines(device);
      const compiled = await Promise.all([
        cache.compile(attention as never, [read], variant.attention),
        ...(write === undefined
          ? []
          : [cache.compile(packCache as never, [write], packCache.constants)]),
      ]);

      expect(compiled).toHaveLength(write === undefined ? 1 : 2);
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
          const parts = [...weightParts(weightFormats.f32), ...score.parts, ranking];
          return cache.compile(router as never, parts, variant.router);
        }),
      ),
    ]);

    const routers = Object.keys(scoreFunctions).length * Object.keys(rankingParts).length;
    expect(compiled).toHaveLength(Object.keys(activationParts).length + routers);
  });
});

// What a kernel and a format might disagree on is in the types of one module, which is checked without a pipeline: that
// takes a few milliseconds. Each format's own code becomes a pipeline in formats.test.ts.
describe.for(formats)("every kernel that reads weights is valid", (format) => {
  const next = formats[(formats.indexOf(format) + 1) % formats.length]!;

  gpuTest(`with ${format.name}, and with ${next.name} beside it`, async ({ device }) => {
    const readers = all.filter(({ weights }) => weights);
    const modules = readers.flatMap((kernel) => {
      const choices = loadersOf(kernel).length > 1 ? [[format], [format, next]] : [[format]];
      return choices.map((loaded) =>
        linkKernel(kernel, partsFor(kernel, loaded, variants.serial.reduce)),
      );
    });
    const found = await Promise.all(
      modules.map((code) => device.createShaderModule({ code }).getCompilationInfo()),
    );
    const errors = found.flatMap(({ messages }) => messages.map(({ message }) => message));

    expect(modules.length).toBeGreaterThan(readers.length);
    expect(errors).toEqual([]);
  });
});
