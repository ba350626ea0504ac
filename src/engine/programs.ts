import type { GpuContext } from "../gpu/device.ts";
import type { ModelSpec } from "../models/model.ts";
import { GpuOps, type RecordOptions } from "../ops/gpu-ops.ts";
import type { GpuResources } from "../ops/gpu-resources.ts";
import type { Program } from "../ops/program.ts";
import type { GpuNeeds } from "../scheduler/budget.ts";
import type { PoolLayout } from "./pool-layout.ts";

/** Tokens of a prefill chunk: bounds its scratch memory and the time of its dispatches. */
export const CHUNK_TOKENS = 32;

/** A model's recorded passes: of one token, and of up to {@link CHUNK_TOKENS}. Owned by the model. */
export interface Programs {
  readonly decode: Program;
  readonly prefill: Program;
}

/** Records both programs against arenas that are not there, to learn what everything but the slots takes. */
export function planNeeds(
  context: GpuContext,
  spec: ModelSpec,
  pools: readonly PoolLayout[],
  fixed: Omit<GpuResources, "arenas">,
  options: Pick<RecordOptions, "guesses"> = {},
): GpuNeeds {
  const arenas = (pool: number) => {
    const { gate, down } = pools[pool]!;
    return {
      slots: 0,
      slotsPerArena: 1,
      slotWords: 0,
      gateFirst: 0,
      upFirst: 0,
      downFirst: 0,
      gateFormat: gate.format,
      downFormat: down.format,
      arenas: [fixed.result],
    };
  };
  const programBytes = [1, CHUNK_TOKENS].reduce((sum, tokens) => {
    const ops = new GpuOps({ ...fixed, arenas }, spec.moe, { ...options, maxTokens: tokens });
    spec.forward(ops);
    const { bytes } = ops;
    ops.discard();
    return sum + bytes;
  }, 0);
  return {
    residentBytes: context.memory.bytes + programBytes,
    recordBytes: pools.map(({ recordBytes }) => recordBytes),
    experts: expertsOf(spec),
    topK: Math.max(0, ...spec.moe.map(({ topK }) => topK)),
  };
}

/** Experts of a layer; 0 in a dense model. */
export function expertsOf(spec: ModelSpec): number {
  return Math.max(0, ...spec.moe.map(({ experts }) => experts));
}

/** Records the forward pass. Throws "shader-invalid", "out-of-memory", "missing-feature", "unsupported-model". */
export async function recordPrograms(
  resources: GpuResources,
  spec: ModelSpec,
  options: Pick<RecordOptions, "guesses"> = {},
): Promise<Programs> {
  const [decode, prefill] = await Promise.all([
    recordProgram(resources, spec, { ...options, maxTokens: 1 }),
    recordProgram(resources, spec, { maxTokens: CHUNK_TOKENS }),
  ]);
  return { decode, prefill };
}

/** Records one program, which the caller owns. Throws as {@link recordPrograms}. */
export function recordProgram(
  resources: GpuResources,
  spec: ModelSpec,
  options: RecordOptions,
): Promise<Program> {
  const ops = new GpuOps(resources, spec.moe, options);
  spec.forward(ops);
  return ops.finish();
}
