import type { CacheFormat } from "../formats/cache/format.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import type { GpuContext } from "../gpu/device.ts";
import { variants } from "../kernels/parts.ts";
import type { ModelSpec } from "../models/model.ts";
import { checkVector } from "../ops/checks.ts";
import type { GpuResources } from "../ops/gpu-resources.ts";
import { plannedChunk } from "./chunks.ts";
import { cacheRows } from "./kv-cache.ts";
import type { PoolLayout } from "./pool-layout.ts";
import { arenasWithoutSlots, programBytes } from "./programs.ts";
import { formatOf, tensorOf } from "./tensor-reader.ts";

/** What a model is planned for. */
export interface DryRunOptions {
  readonly contextTokens: number;
  readonly cacheFormat: CacheFormat;
}

/**
 * Records a model's passes with no GPU: the bytes that they take beside weights, caches and slots. What a kernel cannot
 * compute shows here, from the header alone. Throws "unsupported-model", "shape-mismatch" or "unsupported-format".
 */
export function dryRun(
  file: GgufFile,
  spec: ModelSpec,
  pools: readonly PoolLayout[],
  options: DryRunOptions,
): number {
  const resources = unallocatedResources(file, spec, pools, options);
  const lists = new Map<string, readonly string[]>();
  const note = (names: readonly string[]) => lists.set(names.join("\n"), names);
  const noting: GpuResources = {
    ...resources,
    vector(name, width) {
      note([name]);
      return resources.vector(name, width);
    },
    vectors(...names) {
      note(names);
      return resources.vectors(...names);
    },
  };
  return programBytes(noting, spec) + repeatedBytes(spec, [...lists.values()]);
}

/** Vectors are joined in a buffer for each list of them that a kernel reads: what they take beyond once for each. */
function repeatedBytes(spec: ModelSpec, lists: readonly (readonly string[])[]): number {
  const bytes = new Map(
    spec.resident.map(({ name, shape }) => [name, 4 * shape.reduce((a, b) => a * b, 1)]),
  );
  const sum = (names: Iterable<string>) =>
    [...names].reduce((all, name) => all + (bytes.get(name) ?? 0), 0);
  return sum(lists.flat()) - sum(new Set(lists.flat()));
}

/** What a model's passes are recorded with, read from the header alone. */
export function unallocatedResources(
  file: GgufFile,
  spec: ModelSpec,
  pools: readonly PoolLayout[],
  { contextTokens, cacheFormat }: DryRunOptions,
): GpuResources {
  const shapes = new Map(spec.resident.map(({ name, shape }) => [name, shape]));
  const attention = new Map(spec.attention.map((each) => [each.layer, each]));
  const matrixOf = (name: string) => {
    const shape = shapes.get(name)!;
    const cols = shape.at(-1)!;
    return { rows: shape.slice(0, -1).reduce((a, b) => a * b, 1), cols };
  };
  const size = { contextTokens, chunkTokens: plannedChunk(spec) };
  return {
    context: UNALLOCATED,
    variant: variants.serial,
    accuracy: "exact",
    contextTokens,
    control: NO_BUFFER,
    pageTable: NO_BUFFER,
    pageFirst: () => 0,
    result: NO_BUFFER,
    reply: NO_BUFFER,
    seen: NO_BUFFER,
    scores: NO_BUFFER,
    verdict: NO_BUFFER,
    guess: NO_BUFFER,
    matrix(name) {
      const { rows, cols } = matrixOf(name);
      const parts = [{ buffer: NO_BUFFER, firstRow: 0, rows }];
      return { rows, cols, format: formatOf(tensorOf(file, name)), parts };
    },
    table: (name) => ({ buffer: NO_BUFFER, ...matrixOf(name) }),
    vector(name, width) {
      checkVector(
        name,
        shapes.get(name)!.reduce((a, b) => a * b),
        width,
      );
      return NO_BUFFER;
    },
    vectors: () => NO_BUFFER,
    kvCache: (layer) => ({
      buffer: NO_BUFFER,
      rows: cacheRows(attention.get(layer)!, size),
      format: cacheFormat,
    }),
    state: () => NO_BUFFER,
    ropeTable: () => NO_BUFFER,
    arenas: (pool) => arenasWithoutSlots(pools[pool]!, NO_BUFFER),
  };
}

/** Stands for all that is bound: recording only passes it on. */
const NO_BUFFER = { size: 0 } as GPUBuffer;

/** Gives buffers of the wanted size with no memory behind them, and compiles nothing. */
const UNALLOCATED = {
  memory: {
    storage: (_: string, bytes: number) => ({ size: bytes }),
    release: () => {},
  },
  pipelines: { compile: () => new Promise(() => {}) },
} as unknown as GpuContext;
