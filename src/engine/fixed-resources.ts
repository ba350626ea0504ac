import { type CacheFormatName, cacheFormats } from "../formats/cache/registry.ts";
import type { Accuracy } from "../formats/input/registry.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { Variant } from "../kernels/parts.ts";
import type { ModelSpec } from "../models/model.ts";
import { checkVector } from "../ops/checks.ts";
import type { GpuResources } from "../ops/gpu-resources.ts";
import type { RopeSpec } from "../ops/ops.ts";
import { stateValues } from "../ops/recurrent.ts";
import { plannedChunk } from "./chunks.ts";
import { CONTROL_WORDS } from "./executor.ts";
import { cacheRows, kvCacheBytes } from "./kv-cache.ts";
import { expertsOf, VERIFY_TOKENS } from "./programs.ts";
import { REPLY_BLOCK_BYTES } from "./reply-block.ts";
import { ropeAngles, ropeFactors } from "./rope.ts";
import type { Snapshot } from "./state-snapshots.ts";
import type { ResidentWeights } from "./weights.ts";

/** What the size and form of the fixed buffers depend on. */
export interface FixedOptions {
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
  readonly variant: Variant;
  readonly accuracy: Accuracy;
  /** Passes over drafted tokens are wanted. */
  readonly verifies: boolean;
}

/**
 * The buffers whose size does not depend on the budget, and the look-ups that programs bind through. The caller owns
 * `owned`.
 */
export function allocateFixed(
  context: GpuContext,
  spec: ModelSpec,
  weights: ResidentWeights,
  options: FixedOptions,
): {
  readonly resources: Omit<GpuResources, "arenas">;
  readonly counts: GPUBuffer;
  readonly snapshots: readonly Snapshot[];
  readonly owned: readonly GPUBuffer[];
} {
  const { memory, device } = context;
  const { contextTokens } = options;
  const chunkTokens = plannedChunk(spec);
  const owned: GPUBuffer[] = [];
  const storage = (label: string, bytes: number) => {
    const buffer = memory.storage(label, bytes);
    owned.push(buffer);
    return buffer;
  };
  const experts = expertsOf(spec);
  const control = storage("control", 4 * (CONTROL_WORDS + chunkTokens + 1));
  const pageTable = storage("page table", 4 * spec.moe.length * experts);
  const result = storage("result", 4);
  const reply = storage("reply", REPLY_BLOCK_BYTES);
  const seen = storage("seen tokens", 4 * spec.vocab);
  const scores = storage("scores", 4 * chunkTokens);
  // Where nothing is drafted, nothing is written to them.
  const verdict = options.verifies ? storage("verdict", 4 * VERIFY_TOKENS) : result;
  const guess = options.verifies ? storage("guess", 4) : result;
  const counts = storage("token counts", 4 * chunkTokens);
  device.queue.writeBuffer(
    counts,
    0,
    Uint32Array.from({ length: chunkTokens }, (_, i) => i + 1),
  );
  const format = cacheFormats[options.kvCache];
  const kvCaches = new Map(
    spec.attention.map((attention) => {
      const size = { contextTokens, chunkTokens };
      const bytes = kvCacheBytes(attention, format, size);
      const buffer = storage(`KV cache of layer ${attention.layer}`, bytes);
      return [attention.layer, { buffer, rows: cacheRows(attention, size), format }];
    }),
  );
  // What is in a state before a pass at position 0 is never read.
  const states = new Map(
    spec.recurrent.flatMap((recurrent) =>
      Object.entries(stateValues(recurrent)).map(([part, values]) => {
        const key = `${recurrent.layer} ${part}`;
        return [key, storage(`state (${part}) of layer ${recurrent.layer}`, 4 * values)] as const;
      }),
    ),
  );
  const snapshots = options.verifies
    ? [...states].map(([key, state]) => ({
        state,
        copy: storage(`copy of ${key}`, state.size),
      }))
    : [];
  const tables = new Map<string, GPUBuffer>();
  const ropeTable = (rope: RopeSpec) => {
    const key = JSON.stringify(rope);
    let buffer = tables.get(key);
    if (!buffer) {
      const tensor = ropeFactors(rope, contextTokens);
      const factors = tensor === undefined ? undefined : weights.values(tensor);
      const angles = ropeAngles(rope, contextTokens, factors);
      buffer = storage("rope angles", angles.byteLength);
      device.queue.writeBuffer(buffer, 0, angles);
      tables.set(key, buffer);
    }
    return buffer;
  };
  const vector = (name: string, width: number) => {
    checkVector(name, weights.values(name).length, width);
    return weights.vectors([name]);
  };
  return {
    owned,
    counts,
    snapshots,
    resources: {
      context,
      variant: options.variant,
      accuracy: options.accuracy,
      contextTokens,
      control,
      pageTable,
      pageFirst: (pool) => pool * experts,
      result,
      reply,
      seen,
      scores,
      verdict,
      guess,
      matrix: (name) => weights.matrix(name),
      table: (name) => weights.table(name),
      vector,
      vectors: (...names) => weights.vectors(names),
      kvCache: (layer) => kvCaches.get(layer)!,
      state: (layer, part) => states.get(`${layer} ${part}`)!,
      ropeTable,
    },
  };
}
