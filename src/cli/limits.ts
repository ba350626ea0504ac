import { plannedChunk } from "../engine/chunks.ts";
import { kvCacheBytes } from "../engine/kv-cache.ts";
import { planRowParts } from "../engine/matrix-parts.ts";
import type { PoolLayout } from "../engine/pool-layout.ts";
import { formatOf, tensorOf } from "../engine/tensor-reader.ts";
import { type CacheFormatName, cacheFormats } from "../formats/cache/registry.ts";
import { planPlanes } from "../formats/format.ts";
import type { GgufFile } from "../gguf/gguf.ts";
import type { ModelSpec } from "../models/model.ts";
import type { AttentionSpec } from "../ops/ops.ts";

/** What every WebGPU device binds at once, in bytes; Firefox offers no more, other browsers ask the GPU. */
export const DEFAULT_BINDING_BYTES = 128 * 2 ** 20;

/** Something that is longer than {@link DEFAULT_BINDING_BYTES}. */
export type LimitRow =
  /** A matrix, which is cut by rows into several buffers: it runs everywhere, by a dispatch for each. */
  | {
      readonly kind: "matrix";
      readonly what: string;
      readonly bytes: number;
      readonly parts: number;
    }
  /** Keys and values of a layer: they fit for `contextTokens` tokens, or on a device that binds `bytes`. */
  | {
      readonly kind: "kv-cache";
      readonly what: string;
      readonly bytes: number;
      readonly contextTokens: number;
    }
  /** What is never cut: it needs a device that binds `bytes`. */
  | { readonly kind: "device"; readonly what: string; readonly bytes: number };

/** The KV cache that is asked for. */
export interface CacheChoice {
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
}

/** What of a model exceeds the limits that every device has. */
export function findLimits(
  file: GgufFile,
  spec: ModelSpec,
  pools: readonly PoolLayout[],
  cache: CacheChoice,
): LimitRow[] {
  return [...longMatrices(file, spec), ...longCaches(spec, cache), ...longRecords(pools)];
}

function longMatrices(file: GgufFile, spec: ModelSpec): LimitRow[] {
  const rows = spec.resident.flatMap(({ name, shape, idsBelow }): LimitRow[] => {
    if (idsBelow !== undefined || shape.length < 2) return [];
    const format = formatOf(tensorOf(file, name));
    const cols = shape.at(-1)!;
    const count = shape.reduce((product, length) => product * length, 1) / cols;
    const { bytes } = planPlanes(format, count * cols);
    const parts = planRowParts(format, [count, cols], DEFAULT_BINDING_BYTES);
    return parts.length > 1 ? [{ kind: "matrix", what: name, bytes, parts: parts.length }] : [];
  });
  return oneOfEach(rows);
}

function longCaches(spec: ModelSpec, { contextTokens, kvCache }: CacheChoice): LimitRow[] {
  const bytesOf = (attention: AttentionSpec, contextTokens: number) =>
    kvCacheBytes(attention, cacheFormats[kvCache], {
      contextTokens,
      chunkTokens: plannedChunk(spec),
    });
  const longest = (tokens: number) =>
    Math.max(0, ...spec.attention.map((attention) => bytesOf(attention, tokens)));
  const bytes = longest(contextTokens);
  if (bytes <= DEFAULT_BINDING_BYTES) return [];
  // Rows of a cache take the same bytes each, but for what is rounded up at its end.
  let fitting = Math.floor((contextTokens * DEFAULT_BINDING_BYTES) / bytes);
  while (longest(fitting) > DEFAULT_BINDING_BYTES) fitting--;
  return [{ kind: "kv-cache", what: "keys and values of a layer", bytes, contextTokens: fitting }];
}

function longRecords(pools: readonly PoolLayout[]): LimitRow[] {
  const bytes = Math.max(0, ...pools.map(({ recordBytes }) => recordBytes));
  return bytes > DEFAULT_BINDING_BYTES ? [{ kind: "device", what: "an expert", bytes }] : [];
}

/** One row for what every layer has. */
function oneOfEach(rows: readonly LimitRow[]): LimitRow[] {
  const byKind = new Map<string, LimitRow>();
  for (const row of rows) {
    const what = row.what.replace(/^blk\.\d+\./, "blk.*.");
    const known = byKind.get(what);
    if (!known || known.bytes < row.bytes) byKind.set(what, { ...row, what });
  }
  return [...byKind.values()];
}

/** A row in words. */
export function describeLimit(row: LimitRow): string {
  switch (row.kind) {
    case "matrix":
      return `${row.what} in ${row.parts} buffers`;
    case "kv-cache":
      return `${row.what}: give --context ${row.contextTokens} or less, or a device that binds ${row.bytes} bytes`;
    case "device":
      return `${row.what}: only on a device that binds ${row.bytes} bytes`;
    default:
      return row satisfies never;
  }
}
