import { SluiceError } from "../errors.ts";
import type { ExpertCache } from "../experts/expert-cache.ts";
import { type Ceilings, measureCeilings } from "../gpu/ceilings.ts";
import { GpuClock } from "../gpu/clock.ts";
import { timeSteps } from "../gpu/profile.ts";
import { copyWords } from "../kernels/copy_words.ts";
import { idle } from "../kernels/idle.ts";
import { multiplyAdd } from "../kernels/multiply_add.ts";
import type { MoeSpec } from "../ops/ops.ts";
import { encodeStep, type Program, type Step } from "../ops/program.ts";
import type { EngineProfile, PassProfile, ProfileOptions } from "../rpc/api.ts";
import type { Executor } from "./executor.ts";
import type { GpuModel } from "./gpu-model.ts";

import { floorOf, type ProfiledStep, rowsOf, totalWork } from "./roofline.ts";
import { chosenVariants } from "./stats.ts";

/** A pass to be profiled: nothing of it needs what was computed before. */
interface ProfiledPass {
  readonly program: Program;
  readonly tokens: readonly number[];
  readonly position: number;
}

/**
 * Times every kernel of a decoded token and of a prefill chunk, and what the device can do. To be called between passes;
 * what the KV caches held is lost. Throws "bad-input" for a depth that the context does not have, "out-of-memory",
 * "device-lost".
 */
export async function profileModel(
  model: GpuModel,
  { depth = 0, tokens }: ProfileOptions,
): Promise<EngineProfile> {
  const { executor, contextTokens, spec } = model;
  const { decode, prefill } = model.programs;
  const { context } = executor.parts;
  const chunk = Math.min(prefill.maxTokens, contextTokens);
  if (!Number.isInteger(depth) || depth < 0 || depth >= contextTokens) {
    throw new SluiceError(
      "bad-input",
      `depth is ${depth}; it must be a whole number below the context of ${contextTokens} tokens.`,
    );
  }
  const wrong = tokens?.find((id) => !Number.isInteger(id) || id < 0 || id >= spec.vocab);
  if (wrong !== undefined) {
    throw new SluiceError(
      "bad-input",
      `tokens has ${wrong}; this model's ids are whole numbers from 0 to ${spec.vocab - 1}.`,
    );
  }
  const ids = Array.from({ length: chunk }, (_, index) =>
    tokens && tokens.length > 0 ? tokens[index % tokens.length]! : (index * 31 + 1) % spec.vocab,
  );
  const clock = await GpuClock.create(context.device);
  try {
    const probes = { copy: copyWords, multiplyAdd, idle };
    const ceilings = await measureCeilings(context, clock, probes);
    const start = Math.min(depth, contextTokens - chunk);
    const profile = (pass: ProfiledPass) => profilePass(model, clock, ceilings, pass);
    const ofPrefill = await profile({ program: prefill, tokens: ids, position: start });
    const ofDecode = await profile({ program: decode, tokens: ids.slice(0, 1), position: depth });
    context.check();
    return {
      adapter: context.adapterName,
      variants: chosenVariants(model.variants),
      method: ofDecode.method,
      ceilings,
      decode: ofDecode.pass,
      prefill: ofPrefill.pass,
    };
  } finally {
    clock.dispose();
  }
}

async function profilePass(
  { executor, cache }: GpuModel,
  clock: GpuClock,
  ceilings: Ceilings,
  { program, tokens, position }: ProfiledPass,
): Promise<{ readonly method: EngineProfile["method"]; readonly pass: PassProfile }> {
  const { moe } = executor.parts;
  const partial = new Set([...moe.keys()].filter((index) => !isResident(cache, moe[index]!)));
  for (const index of partial) writeSomeSlots(executor, program, index, tokens.length);
  const ofPass = program.steps.map((step, index): Step => {
    const router = program.routers.get(index);
    return router && partial.has(router.moe) ? router.chooser : step;
  });
  // Every pass ends with the choice of a token.
  const steps = [...ofPass, ...(program.choosers?.top ?? [])];
  const times = await timeSteps(
    executor.parts.context.device,
    clock,
    steps.map((step) => ({ encode: (pass) => encodeStep(pass, step, tokens.length) })),
    () => executor.begin(tokens, position),
  );
  const layers = layersOf(program, steps);
  const profiled = steps.map(
    (step, index): ProfiledStep => ({
      kernel: step.label,
      layer: layers[index],
      microseconds: times.microseconds[index]!,
      work: step.work?.({ tokens: tokens.length, position }),
    }),
  );
  const work = totalWork(profiled);
  return {
    method: times.method,
    pass: {
      tokens: tokens.length,
      position,
      dispatches: steps.length,
      microseconds: profiled.reduce((sum, step) => sum + step.microseconds, 0),
      ...work,
      floor: floorOf(work, steps.length, ceilings),
      rows: rowsOf(profiled, ceilings),
    },
  };
}

/** The layer of each step: one that binds nothing of a layer belongs to the one before it. */
function layersOf({ head }: Program, steps: readonly Step[]): readonly (number | undefined)[] {
  let layer: number | undefined;
  return steps.map((step, index) => {
    if (index >= head.first) return undefined;
    layer = step.layer ?? layer;
    return layer;
  });
}

function isResident(cache: ExpertCache, { pool, experts }: MoeSpec): boolean {
  return cache.ready(pool).length === experts;
}

/** Gives a layer whose experts are not all there slots in turn: what a pass costs, not what it computes, counts here. */
function writeSomeSlots(executor: Executor, program: Program, moe: number, tokens: number): void {
  const { pool, topK } = executor.parts.moe[moe]!;
  const slots = Math.max(1, executor.parts.cache.slotCount(pool));
  const taken = Uint32Array.from({ length: tokens * topK }, (_, pair) => pair % slots);
  executor.writeSlots(program, moe, taken);
}
