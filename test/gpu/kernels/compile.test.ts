import { describe, expect } from "vitest";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import type { WeightFormat } from "../../../src/formats/format.ts";
import type { BlockUnit } from "../../../src/formats/input/format.ts";
import { accuracies } from "../../../src/formats/input/registry.ts";
import { blockParts, weightParts } from "../../../src/formats/parts.ts";
import { weightFormats } from "../../../src/formats/registry.ts";
import { createPipelines } from "../../../src/gpu/device.ts";
import type { Constants, Kernel } from "../../../src/gpu/kernel.ts";
import { linkKernel, type PipelineCache } from "../../../src/gpu/pipelines.ts";
import { attention, attentionKeys, attentionRows } from "../../../src/kernels/attention.ts";
import { kernels } from "../../../src/kernels/index.ts";
import {
  activationParts,
  convParts,
  headNormParts,
  headParts,
  inputParts,
  matricesParts,
  rankingParts,
  rotatedParts,
  rowDotsConstants,
  rowDotsParts,
  type Sizes,
  sharedParts,
  variants,
} from "../../../src/kernels/parts.ts";
import { scoreFunctions } from "../../../src/routing/registry.ts";
import { gpuTest } from "../../helpers/gpu.ts";
import { hasSubgroups, variantCases } from "./cases.ts";
import { unitCases } from "./units.ts";

const formats = Object.values(weightFormats);

/** Which of the parts that exclude each other a kernel is linked with. */
interface Choice {
  /** The formats of its matrices, in turn. */
  readonly loaded: readonly WeightFormat[];
  readonly reduce: string;
  readonly input?: string;
  /** How kernels that can read their input in blocks do it. */
  readonly unit?: BlockUnit;
  /** How many matrices a matvec has. */
  readonly matrices?: number;
  /** Whether a layer has shared experts. */
  readonly shared?: boolean;
}

/** The parts by which a kernel calls products that it does not name itself. */
function productParts({ source }: Kernel, { matrices = 3, shared = true }: Choice): string[] {
  const parts: string[] = [];
  if (source.includes("matrix_dots(")) parts.push(matricesParts[matrices - 1]!);
  if (source.includes("shared_gate_dots(")) {
    parts.push(shared ? sharedParts.gateUp : sharedParts.noGateUp);
  }
  if (source.includes("shared_down_dots(")) {
    parts.push(shared ? sharedParts.down : sharedParts.noDown);
  }
  return parts;
}

/** The buffers of matrices that do not lie in the first one; experts' gate and up are in one arena. */
const BINDINGS: Readonly<Record<string, number>> = {
  b: 1,
  c: 2,
  shared_gate: 1,
  shared_up: 2,
  shared_down: 1,
  queries: 1,
};

function bindingOf(kernel: Kernel, matrix: string): number {
  return kernel.name === "gate_up" && matrix === "up" ? 1 : (BINDINGS[matrix] ?? 0);
}

/** The names of what the calls of functions named `prefix` and something begin with. */
function calls(sources: readonly string[], prefix: string): string[] {
  const pattern = new RegExp(`\\b${prefix}(\\w+)(?=\\()`, "g");
  return [...new Set(sources.flatMap((source) => [...source.matchAll(pattern)].map((m) => m[1]!)))];
}

/** Every part that a kernel may ask for, with one choice where parts exclude each other. */
function partsFor(kernel: Kernel, choice: Choice): string[] {
  const { source } = kernel;
  const { loaded, reduce, input = inputParts.normed } = choice;
  const unit = source.includes("InputElement") ? choice.unit : undefined;
  const integers = unit?.integers ?? false;
  const products = productParts(kernel, choice);
  const lanes = kernel.name === "router" ? "PARTS" : "LANES";
  const parts = [
    ...products,
    ...calls([source, ...products], "row_dots_").flatMap((name, index) =>
      rowDotsParts(loaded[index % loaded.length]!, name, {
        binding: bindingOf(kernel, name),
        lanes,
        integers,
      }),
    ),
    ...calls([source], "load_").flatMap((name, index) =>
      (integers ? blockParts : weightParts)(loaded[index % loaded.length]!, `load_${name}`),
    ),
  ];
  if ([source, ...parts].some((part) => /\binput_(?:unit|factor)\(/.test(part))) {
    const numbers = source.includes("vectors") ? input : inputParts.plain;
    parts.push(...(unit?.parts ?? [numbers]));
  }
  if (source.includes("head_products(")) {
    const { rows, columns } = headParts;
    parts.push(...weightParts(loaded[0]!), choice.matrices === 1 ? columns : rows);
  }
  if ([source, ...parts].some((part) => /row_(?:sum|barrier)/.test(part))) parts.push(reduce);
  if (source.includes("store_block(")) parts.push(accuracies.int8.write);
  if (source.includes("conv_input(")) parts.push(convParts.gated);
  if (source.includes("gated(")) parts.push(activationParts.silu);
  if (source.includes("router_score(")) {
    parts.push(...scoreFunctions.softmax.parts, rankingParts.byLogit);
  }
  if (source.includes("Cached")) parts.push(cacheFormats.f16.read);
  if (source.includes("store_piece(")) parts.push(cacheFormats.f16.write);
  if (source.includes("find_norms(")) parts.push(headNormParts.shared, rotatedParts.quads);
  if (source.includes("weigh(")) parts.push(attentionRows.four.part, attentionKeys.four.part);
  return parts;
}

/** What variants decide; a kernel's other constants say what it computes. */
const sizeNames = new Set(
  Object.values(variants.serial).flatMap(({ constants }) => Object.keys(constants)),
);

/** The names of what a variant decides. */
function sizes(constants: Constants): string {
  return Object.keys(constants)
    .filter((name) => sizeNames.has(name))
    .join();
}

/** The router adds up the shares of its lanes by itself. */
const serial = variants.serial.matrix.reduce;

/** One for the file, whose tests share a device. */
let shared: PipelineCache | undefined;
function pipelines(device: GPUDevice): PipelineCache {
  shared ??= createPipelines(navigator.gpu, device, true);
  return shared;
}

const all = (kernels as unknown as readonly Kernel[]).filter(
  ({ needs }) => needs === undefined || hasSubgroups,
);

describe.for(variantCases)("variant $name", ({ variant }) => {
  gpuTest("every kernel compiles", async ({ device }) => {
    const cache = pipelines(device);
    const compiled = await Promise.all(
      all.map((kernel) => {
        const families: readonly Sizes[] = Object.values(variant);
        const chosen = families.find(
          ({ constants }) => sizes(kernel.constants) === sizes(constants),
        );
        const own =
          "FOURS" in kernel.constants ? rowDotsConstants(variant.matrix) : chosen?.constants;
        const constants = { ...kernel.constants, ...own };
        const parts = partsFor(kernel, {
          loaded: [weightFormats.f32, weightFormats.q4_k],
          reduce: kernel.name === "router" ? serial : variant.matrix.reduce,
        });
        return cache.compile(kernel, parts, constants);
      }),
    );

    expect(compiled).toHaveLength(all.length);
  });

  // What writes it is run with every variant in its own tests.
  gpuTest.for(Object.values(cacheFormats))(
    "a KV cache in $name is read",
    async ({ read }, { device }) => {
      const cache = pipelines(device);
      const compiled = await Promise.all(
        Object.values(attentionRows).map(({ part }) =>
          cache.compile(
            attention as never,
            [read, part, attentionKeys[variant.attention.laneKeys].part],
            variant.attention.constants,
          ),
        ),
      );

      expect(compiled).toHaveLength(Object.keys(attentionRows).length);
    },
  );
});

// A variant changes the sizes of these kernels and none of their text: every kernel has those above.
gpuTest("every activation, score function and ranking compiles", async ({ device }) => {
  const cache = pipelines(device);
  const gated = kernels.find((kernel) => kernel.name === "gated_unit")!;
  const router = kernels.find((kernel) => kernel.name === "router")!;
  const reader = [
    ...rowDotsParts(weightFormats.f32, "router", { lanes: "PARTS" }),
    inputParts.plain,
    serial,
  ];
  const compiled = await Promise.all([
    ...Object.values(activationParts).map((part) =>
      cache.compile(gated as never, [part], gated.constants),
    ),
    ...Object.values(scoreFunctions).flatMap((score) =>
      Object.values(rankingParts).map((ranking) => {
        const parts = [...reader, ...score.parts, ranking];
        return cache.compile(router as never, parts, variants.serial.router.constants);
      }),
    ),
  ]);

  const routers = Object.keys(scoreFunctions).length * Object.keys(rankingParts).length;
  expect(compiled).toHaveLength(Object.keys(activationParts).length + routers);
});

// What a kernel and a format might disagree on is in the types of one module, which is checked without a pipeline: that
// takes a few milliseconds. Each format's own code becomes a pipeline in formats.test.ts.
describe.for(formats)("every kernel that reads weights is valid", (format) => {
  const next = formats[(formats.indexOf(format) + 1) % formats.length]!;

  gpuTest(`with ${format.name}, and with ${next.name} beside it`, async ({ device }) => {
    const readers = all.filter(({ weights }) => weights);
    const linked = readers.flatMap((kernel) =>
      choicesOf([format], [format, next]).map((choice) =>
        linkKernel(kernel, partsFor(kernel, choice)),
      ),
    );
    const modules = [...new Set(linked)];
    const found = await Promise.all(
      modules.map((code) => device.createShaderModule({ code }).getCompilationInfo()),
    );
    const errors = found.flatMap(({ messages }) => messages.map(({ message }) => message));

    expect(modules.length).toBeGreaterThan(readers.length);
    expect(errors).toEqual([]);
  });
});

/**
 * With one format and everything that a kernel may have, and with several and as little of it as it can; of formats with
 * blocks of integers also those.
 */
function choicesOf(one: readonly WeightFormat[], several: readonly WeightFormat[]): Choice[] {
  const inBlocks = [one, several].filter((loaded) => loaded.every(({ blockParts }) => blockParts));
  return [
    ...inBlocks.flatMap((loaded) =>
      unitCases.map(({ unit }) => ({ loaded, reduce: serial, matrices: 3, shared: true, unit })),
    ),
    { loaded: one, reduce: serial, matrices: 3, shared: true },
    { loaded: several, reduce: serial, matrices: 3, shared: true, input: inputParts.plain },
    { loaded: several, reduce: serial, matrices: 2, shared: false },
    { loaded: one, reduce: serial, matrices: 1, shared: false },
  ];
}
