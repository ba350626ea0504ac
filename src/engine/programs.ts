import type { GpuContext } from "../gpu/device.ts";
import type { ModelSpec } from "../models/model.ts";
import { GpuOps, type RecordOptions } from "../ops/gpu-ops.ts";
import type { ExpertArenas, GpuResources } from "../ops/gpu-resources.ts";
import type { Program } from "../ops/program.ts";
import type { GpuNeeds } from "../scheduler/budget.ts";
import { plannedChunk } from "./chunks.ts";
import { biasesOf, type PoolLayout } from "./pool-layout.ts";

/** Tokens of a verifying pass: the last one of the text, and those that were drafted to follow it. */
export const VERIFY_TOKENS = 8;

/** A model's recorded passes: of one token, of a chunk of them, and of drafted ones. Owned by the model. */
export interface Programs {
  readonly decode: Program;
  readonly prefill: Program;
  /** Of up to {@link VERIFY_TOKENS}, with the most probable token after each; undefined where nothing is drafted. */
  readonly verify: Program | undefined;
}

/** What programs are recorded for. */
export interface ProgramOptions extends Pick<RecordOptions, "guesses"> {
  /** Passes over drafted tokens are wanted. */
  readonly verifies?: boolean;
}

/** Records all programs against arenas that are not there, to learn what everything but the slots takes. */
export function planNeeds(
  context: GpuContext,
  spec: ModelSpec,
  pools: readonly PoolLayout[],
  fixed: Omit<GpuResources, "arenas">,
  options: ProgramOptions = {},
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

/** GPU bytes that all programs will take: scratch, parameters and choices. Throws as recording does. */
export function programBytes(
  resources: GpuResources,
  spec: ModelSpec,
  options: ProgramOptions = {},
): number {
  return recordingsFor(options).reduce((sum, which) => {
    const ops = recorded(resources, spec, recordings(spec, options)[which]);
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
  options: ProgramOptions = {},
): Promise<Programs> {
  const [decode, prefill, verify] = await Promise.all(
    recordingsFor(options).map((which) => recordProgram(resources, spec, which, options)),
  );
  return { decode: decode!, prefill: prefill!, verify };
}

/** Records one of the passes; see `Recorder.build` for `lent`. Throws as {@link recordPrograms}. */
export async function recordProgram(
  resources: GpuResources,
  spec: ModelSpec,
  which: keyof Programs,
  options: Pick<RecordOptions, "guesses"> = {},
  lent?: readonly GPUBuffer[],
): Promise<Program> {
  const ops = recorded(resources, spec, recordings(spec, options)[which]);
  try {
    return await ops.finish(lent);
  } catch (error) {
    ops.discard();
    throw error;
  }
}

export function disposePrograms({ decode, prefill, verify }: Programs): void {
  for (const program of [decode, prefill, verify]) program?.dispose();
}

/** A forward pass, recorded but not built. A block that predicts further tokens follows what reads more than one token. */
function recorded(resources: GpuResources, spec: ModelSpec, recording: RecordOptions): GpuOps {
  const ops = new GpuOps(resources, spec.moe, recording);
  spec.forward(ops);
  const { ahead } = spec;
  if (ahead && recording.maxTokens > 1) {
    ops.recordAhead((ops, stream) => ahead.forward(ops, stream));
  }
  ops.recordEnd();
  return ops;
}

/** The programs that are wanted. */
function recordingsFor({ verifies }: ProgramOptions): readonly (keyof Programs)[] {
  return verifies ? ["decode", "prefill", "verify"] : ["decode", "prefill"];
}

/** What each program is recorded for. Guesses are for decoding; what is scored is a text that is there. */
function recordings(
  spec: ModelSpec,
  { guesses }: Pick<RecordOptions, "guesses">,
): Readonly<Record<keyof Programs, RecordOptions>> {
  return {
    decode: { ...(guesses !== undefined && { guesses }), maxTokens: 1 },
    prefill: { maxTokens: plannedChunk(spec), scores: true },
    verify: { maxTokens: VERIFY_TOKENS, verifies: true },
  };
}
