import type { KernelWork } from "../gpu/kernel.ts";
import { BLOCK_NUMBERS, type CacheFormat } from "./cache/format.ts";
import { cacheFormats } from "./cache/registry.ts";
import type { WeightFormat } from "./format.ts";
import { weightFormats } from "./registry.ts";

/** The line by which a loader of `weightParts` says what it reads. */
const LOADER = /^\/\/ (?<name>\w+): reads (?<format>\w+)\.$/m;

const FORMATS = new Map<string, WeightFormat>(
  Object.values(weightFormats).map((format) => [format.name, format]),
);

/** Bytes of a number in f32. */
const WORD_BYTES = 4;

/** Bytes that a weight takes on the GPU, scales included. */
export function bytesPerWeight({ planeBlockBytes, blockWeights }: WeightFormat): number {
  return planeBlockBytes.reduce((sum, bytes) => sum + bytes, 0) / blockWeights;
}

/** Bytes that a cached number takes, scales included. */
export function bytesPerCached({ bitsPerNumber, scaled }: CacheFormat): number {
  return bitsPerNumber / 8 + (scaled ? WORD_BYTES / BLOCK_NUMBERS : 0);
}

/** Bytes of the least that a dispatch reads and writes; `parts` are those that its kernel was linked with. */
export function workBytes(work: KernelWork, parts: readonly string[]): number {
  let bytes = WORD_BYTES * work.words;
  if (work.weights) {
    const loaded = loadedFormats(parts);
    for (const [name, weights] of Object.entries(work.weights)) {
      const format = loaded.get(name);
      if (!format) throw new Error(`unreachable: no part of the kernel is called ${name}`);
      bytes += weights * bytesPerWeight(format);
    }
  }
  if (work.cached) bytes += work.cached * bytesPerCached(cacheFormatOf(parts));
  return bytes;
}

/** The formats that the loaders among `parts` read, by the loaders' names. */
function loadedFormats(parts: readonly string[]): ReadonlyMap<string, WeightFormat> {
  const loaded = new Map<string, WeightFormat>();
  for (const part of parts) {
    const { name, format } = LOADER.exec(part)?.groups ?? {};
    if (name && format) loaded.set(name, FORMATS.get(format)!);
  }
  return loaded;
}

/** The cache format whose part is linked; without one, numbers are written as they are. */
function cacheFormatOf(parts: readonly string[]): CacheFormat {
  const formats: readonly CacheFormat[] = Object.values(cacheFormats);
  return (
    formats.find(({ read, write }) => parts.includes(read) || parts.includes(write)) ??
    cacheFormats.f32
  );
}
