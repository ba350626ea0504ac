import { weightParts } from "../../formats/parts.ts";
import { combine } from "../../kernels/combine.ts";
import { expertDown } from "../../kernels/expert_down.ts";
import { expertDownColumns } from "../../kernels/expert_down_columns.ts";
import { expertGateUp } from "../../kernels/expert_gate_up.ts";
import { choiceConstants, expertSum } from "../../kernels/expert_sum.ts";
import { activationParts, rowDotsConstants, sharedParts } from "../../kernels/parts.ts";
import { checkMultiple, checkWidth } from "../checks.ts";
import type { ExpertArenas } from "../gpu-resources.ts";
import type { MoeSpec } from "../ops.ts";
import type { Scratch } from "../program.ts";
import { isGrouped, recordGroupedProducts } from "./grouped.ts";
import { type ProductInput, productInput, rowDotsOf, unitsInput } from "./product-input.ts";
import { FEW_TOKENS, type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";
import { networkBeside, type SharedExperts, sharedExpertsOf } from "./shared-experts.ts";

/** A layer's choice, as its experts read it. */
export interface Choices {
  readonly buffer: GPUBuffer;
  /** Where the layer's start in it. */
  readonly slotsFirst: number;
  readonly weightsFirst: number;
}

/** What experts give, and the steps `[first, end)` that run once for each round of loads. */
export interface RecordedExperts {
  readonly y: GpuTensor;
  readonly first: number;
  readonly end: number;
  /** Whether the step behind them reads all experts at once. */
  readonly sums: boolean;
}

/** What the dispatches of one layer's experts have in common. */
interface Layer {
  readonly spec: MoeSpec;
  readonly pool: ExpertArenas;
  readonly choices: Choices;
}

/** `Ops.experts`. */
export function recordExperts(
  recording: Recording,
  x: GpuTensor,
  choices: Choices,
  spec: MoeSpec,
  residual: GpuTensor | undefined,
): RecordedExperts {
  const { hidden, ffn } = spec;
  checkWidth(spec.gate, x.width, hidden);
  checkMultiple(`cols of ${spec.gate}`, hidden, UNIT_WEIGHTS);
  const pool = recording.gpu.arenas(spec.pool);
  checkMultiple(`cols of ${spec.down}`, pool.downByColumns ? hidden : ffn, UNIT_WEIGHTS);
  const layer = { spec, pool, choices };
  if (!canSum(recording, layer)) return recordPairs(recording, x, layer, residual);
  const shared = sharedExpertsOf(recording, x, layer, residual);
  return recordSummed(recording, x, layer, shared ? shared.residual : residual, shared);
}

/**
 * The same with a dense network that reads another norm of what the experts read, and whose result stays apart: it
 * starts at number `denseFirst` of the buffer. Undefined where one dispatch can't compute both.
 */
export function recordExpertsBeside(
  recording: Recording,
  x: GpuTensor,
  choices: Choices,
  spec: MoeSpec,
  dense: GpuTensor,
): (RecordedExperts & { readonly denseFirst: number }) | undefined {
  const layer = { spec, pool: recording.gpu.arenas(spec.pool), choices };
  const network = canSum(recording, layer) && networkBeside(recording, x, layer, dense);
  if (!network) return undefined;
  const recorded = recordSummed(recording, x, layer, undefined, network);
  return { ...recorded, denseFirst: denseFirst(recording, spec) };
}

/** Numbers of what experts give before those of a network that stays apart. */
function denseFirst({ maxTokens }: Recording, { hidden }: MoeSpec): number {
  return maxTokens * hidden;
}

/**
 * Whether one dispatch can multiply all experts of a token with their weights: all that a pass may choose have to be
 * there at once, in one buffer.
 */
function canSum({ maxTokens }: Recording, { spec, pool }: Layer): boolean {
  const most = Math.min(spec.experts, maxTokens * spec.topK);
  const fits = maxTokens === 1 || pool.slots >= most;
  return maxTokens <= FEW_TOKENS && fits && pool.arenas.length === 1 && !pool.downByColumns;
}

/** Two dispatches: the gated units of all experts, those that all tokens share among them, then their sum. */
function recordSummed(
  recording: Recording,
  x: GpuTensor,
  layer: Layer,
  rest: GpuTensor | undefined,
  shared: SharedExperts | undefined,
): RecordedExperts {
  const { gpu, recorder, maxTokens } = recording;
  const { spec, pool, choices } = layer;
  const { hidden, ffn, topK } = spec;
  const restScratch = rest?.scratch;
  const units = planUnits(spec, maxTokens, shared);
  const inner = recorder.scratch(4 * units.width);
  const { first, end } = recordUnits(recording, x, layer, inner, shared);
  const input = unitsInput(
    recording,
    inner,
    {
      cols: topK * ffn,
      ...(shared && { moreCols: shared.gate.rows, hasRaw: shared.weight !== undefined }),
    },
    pool.downFormat,
  );
  const y = recording.tensor(shared?.norm === undefined ? hidden : 2 * hidden);
  const { biases } = pool;
  const sizes = rowDotsConstants(gpu.variant.experts);
  recorder.dispatch(expertSum, {
    params: {
      hidden,
      ffn,
      top_k: topK,
      routing_first: choices.slotsFirst,
      weights_first: choices.weightsFirst,
      slot_words: pool.slotWords,
      down_first: pool.downFirst,
      arena_slots: pool.slots,
      bias_first: biases?.downFirst ?? 0,
      has_residual: restScratch ? 1 : 0,
      shared_ffn: shared?.gate.rows ?? 0,
      shared_first: units.sharedFirst,
      shared_weights_first: units.sharedWeightsFirst,
      shared_scale: shared?.scale ?? 0,
      apart_first: denseFirst(recording, spec),
    },
    buffers: {
      x: input.scratch,
      slots: choices.buffer,
      expert_weights: choices.buffer,
      // What is not there is not read: any buffer does that is only read.
      residual: restScratch ?? input.scratch,
      y: y.scratch,
    },
    weights: [pool.arenas[0]!, ...(shared ? [shared.down.parts[0]!.buffer] : [])],
    parts: [
      ...rowDotsOf(input, pool.downFormat, "down"),
      ...(shared
        ? [...rowDotsOf(input, shared.down.format, "shared_down", 1), sharedParts.down]
        : [sharedParts.noDown]),
      ...input.parts,
      gpu.variant.experts.reduce,
    ],
    constants: {
      ...sizes,
      ...choiceConstants(sizes, topK + (shared ? 1 : 0)),
      BIASED: biases ? 1 : 0,
      SHARED: sharedMode(shared),
    },
  });
  return { y: { ...y, width: hidden }, first, end, sums: true };
}

/**
 * Every pair's output, then their weighted sum. In a pass of many tokens experts are computed one after another, each for
 * all of its tokens, otherwise pair by pair.
 */
function recordPairs(
  recording: Recording,
  x: GpuTensor,
  layer: Layer,
  residual: GpuTensor | undefined,
): RecordedExperts {
  const { recorder, maxTokens } = recording;
  const { spec, pool, choices } = layer;
  const { hidden, ffn, topK } = spec;
  const rest = residual?.scratch;
  const pairs = maxTokens * topK;
  const inner = recorder.scratch(4 * pairs * ffn);
  const outer = recorder.scratch(4 * pairs * hidden);
  const input = unitInput(recording, x, pool);
  const first = recorder.length;
  if (isGrouped(maxTokens, pool)) {
    const { buffer: slots, slotsFirst } = choices;
    const products = { spec, pool, slots, slotsFirst, x: input, inner, outer };
    recordGroupedProducts(recording, products);
  } else {
    recordUnits(recording, x, layer, inner, undefined);
    recordDown(recording, layer, inner, outer);
  }
  // A fault runs these steps several times, so what they read must outlive the last of them.
  recorder.keep(input.scratch);
  recorder.keep(inner);
  const end = recorder.length;
  const y = recording.tensor(hidden);
  recorder.dispatch(combine, {
    params: {
      hidden,
      top_k: topK,
      routing_first: choices.weightsFirst,
      has_residual: rest ? 1 : 0,
    },
    buffers: {
      x: outer,
      expert_weights: choices.buffer,
      // What is not there is not read: any buffer does that is only read.
      residual: rest ?? outer,
      y: y.scratch,
    },
  });
  return { y, first, end, sums: false };
}

/** Where what the gated units of a pass give lies, in numbers. */
function planUnits(spec: MoeSpec, maxTokens: number, shared: SharedExperts | undefined) {
  const sharedFirst = maxTokens * spec.topK * spec.ffn;
  const sharedWeightsFirst = sharedFirst + maxTokens * (shared?.gate.rows ?? 0);
  // Read four at a time.
  const weights = shared?.weight === undefined ? 0 : Math.ceil(maxTokens / 4) * 4;
  return { sharedFirst, sharedWeightsFirst, width: sharedWeightsFirst + weights };
}

/** How the kernels are told of shared experts. */
function sharedMode(shared: SharedExperts | undefined): number {
  if (!shared) return 0;
  if (shared.norm !== undefined) return 3;
  return shared.weight === undefined ? 1 : 2;
}

/** The gated units of all chosen experts: a dispatch for each arena. */
function recordUnits(
  recording: Recording,
  x: GpuTensor,
  { spec, pool, choices }: Layer,
  inner: Scratch,
  shared: SharedExperts | undefined,
): { readonly first: number; readonly end: number } {
  const { gpu, recorder, maxTokens } = recording;
  const input = unitInput(recording, x, pool);
  const { biases } = pool;
  const units = planUnits(spec, maxTokens, shared);
  const sharedVectors = [shared?.weight, shared?.norm].filter((name) => name !== undefined);
  const vectors = [...input.vectors, ...sharedVectors];
  const first = recorder.length;
  for (const [index, arena] of pool.arenas.entries()) {
    recorder.dispatch(expertGateUp, {
      params: {
        ...arenaParams(pool, index),
        cols: spec.hidden,
        ffn: spec.ffn,
        top_k: spec.topK,
        routing_first: choices.slotsFirst,
        gate_first: pool.gateFirst,
        up_first: pool.upFirst,
        gate_bias_first: biases?.gateFirst ?? 0,
        up_bias_first: biases?.upFirst ?? 0,
        shared_ffn: shared?.gate.rows ?? 0,
        shared_first: units.sharedFirst,
        shared_vector: input.vectors.length * spec.hidden,
        shared_weights_first: units.sharedWeightsFirst,
        epsilon: input.epsilon,
      },
      buffers: {
        x: input.scratch,
        vectors: vectors.length > 0 ? gpu.vectors(...vectors) : input.scratch,
        slots: choices.buffer,
        y: inner,
      },
      weights: [
        arena,
        ...(shared ? [shared.gate, shared.up].map(({ parts }) => parts[0]!.buffer) : []),
      ],
      parts: [
        ...rowDotsOf(input, pool.gateFormat, "gate"),
        ...rowDotsOf(input, pool.upFormat, "up"),
        ...(shared ? sharedUnitParts(input, shared) : [sharedParts.noGateUp]),
        ...input.parts,
        gpu.variant.experts.reduce,
        activationParts[spec.activation],
      ],
      constants: {
        ...rowDotsConstants(gpu.variant.experts),
        BIASED: biases ? 1 : 0,
        SHARED: sharedMode(shared),
      },
    });
  }
  // A fault runs these steps several times, so what they read must outlive the last of them.
  recorder.keep(input.scratch);
  return { first, end: recorder.length };
}

/** What gate and up of a layer's experts read. */
function unitInput(recording: Recording, x: GpuTensor, pool: ExpertArenas): ProductInput {
  return productInput(recording, x, pool.gateFormat, pool.upFormat);
}

function sharedUnitParts(input: ProductInput, { gate, up }: SharedExperts): readonly string[] {
  return [
    ...rowDotsOf(input, gate.format, "shared_gate", 1),
    ...rowDotsOf(input, up.format, "shared_up", 2),
    sharedParts.gateUp,
  ];
}

/** The outputs of all chosen experts: a dispatch for each arena. */
function recordDown(
  recording: Recording,
  { spec, pool, choices }: Layer,
  inner: Scratch,
  outer: Scratch,
): void {
  const { gpu, recorder } = recording;
  const { biases, downFormat } = pool;
  const input = pool.downByColumns
    ? undefined
    : unitsInput(recording, inner, { cols: spec.topK * spec.ffn }, downFormat);
  for (const [index, arena] of pool.arenas.entries()) {
    const params = {
      ...arenaParams(pool, index),
      hidden: spec.hidden,
      ffn: spec.ffn,
      top_k: spec.topK,
      routing_first: choices.slotsFirst,
      down_first: pool.downFirst,
    };
    const slots = choices.buffer;
    if (!input) {
      recorder.dispatch(expertDownColumns, {
        params,
        buffers: { x: inner, slots, y: outer },
        weights: arena,
        parts: weightParts(downFormat),
        constants: gpu.variant.columns.constants,
      });
    } else {
      const { experts } = gpu.variant;
      recorder.dispatch(expertDown, {
        params: { ...params, bias_first: biases?.downFirst ?? 0 },
        buffers: { x: input.scratch, slots, y: outer },
        weights: arena,
        parts: [...rowDotsOf(input, downFormat, "down"), ...input.parts, experts.reduce],
        constants: { ...rowDotsConstants(experts), BIASED: biases ? 1 : 0 },
      });
    }
  }
}

/** Which slots an arena holds. */
function arenaParams(pool: ExpertArenas, index: number) {
  const first = index * pool.slotsPerArena;
  return {
    slot_words: pool.slotWords,
    arena_first: first,
    arena_slots: Math.min(pool.slotsPerArena, pool.slots - first),
  };
}
