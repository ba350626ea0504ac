import type { GpuContext } from "../gpu/device.ts";
import type { ModelSpec } from "../models/model.ts";
import { GpuOps, type RecordOptions } from "../ops/gpu-ops.ts";
import type { ExpertArenas, GpuResources } from "../ops/gpu-resources.ts";
import type { Program } from "../ops/program.ts";
import type { GpuNeeds } from "../scheduler/budget.ts";
import { plannedChunk } from "./chunks.ts";
import { biasesOf, type PoolLayout } from "./pool-layout.ts";

/** A model's recorded passes: of one token, and of a chunk of them. Owned by the model. */
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
  const arenas = (pool: number) => arenasWithoutSlots(pools[pool]!, fixed.result);
  // Before what is allocated is counted: vectors and tables of angles are made when they are first asked for.
  const ofPrograms = programBytes({ ...fixed, arenas }, spec, options);
  return {
    residentBytes: context.memory.bytes + ofPrograms,
    recordBytes: pools.map(({ recordBytes }) => recordBytes),
    experts: expertsOf(spec),
    topK: Math.max(0, ...spec.moe.map(({ topK }) => topK)),
  };
}

/** An arena as `buffer` that holds no expert: for recording what is never run. */
export function arenasWithoutSlots(layout: PoolLayout, buffer: GPUBuffer): ExpertArenas {
  const { gate, up, down, downByColumns } = layout;
  return {
    slots: 0,
    slotsPerArena: 1,
    slotWords: 0,
    gateFirst: 0,
    upFirst: 0,
    downFirst: 0,
    biases: biasesOf(layout),
    gateFormat: gate.format,
    upFormat: up.format,
    downFormat: down.format,
    downByColumns,
    arenas: [buffer],
  };
}

/** GPU bytes that both programs will take: scratch, parameters and choices. Throws as recording does. */
export function programBytes(
  resources: GpuResources,
  spec: ModelSpec,
  options: Pick<RecordOptions, "guesses"> = {},
): number {
  return Object.values(recordings(spec, options)).reduce((sum, recording) => {
    const ops = new GpuOps(resources, spec.moe, recording);
    spec.forward(ops);
    const { bytes } = ops;
    ops.discard();
    return sum + bytes;
  }, 0);
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
    recordProgram(resources, spec, "decode", options),
    recordProgram(resources, spec, "prefill", options),
  ]);
  return { decode, prefill };
}

/** Records one of the passes; see `Recorder.build` for `lent`. Throws as {@link recordPrograms}. */
export async function recordProgram(
  resources: GpuResources,
  spec: ModelSpec,
  which: keyof Programs,
  options: Pick<RecordOptions, "guesses"> = {},
  lent?: readonly GPUBuffer[],
): Promise<Program> {
  const ops = new GpuOps(resources, spec.moe, recordings(spec, options)[which]);
  spec.forward(ops);
  try {
    return await ops.finish(lent);
  } catch (error) {
    ops.discard();
    throw error;
  }
}

/** What each program is recorded for. Guesses are for decoding; what is scored is a text that is there. */
function recordings(
  spec: ModelSpec,
  options: Pick<RecordOptions, "guesses">,
): Readonly<Record<keyof Programs, RecordOptions>> {
  return {
    decode: { ...options, maxTokens: 1 },
    prefill: { maxTokens: plannedChunk(spec), scores: true },
  };
}
