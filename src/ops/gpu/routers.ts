import { hashRouter } from "../../kernels/hash_router.ts";
import { NO_VECTOR } from "../../kernels/matvec.ts";
import { rankingParts, routerInputParts, rowDotsParts, variants } from "../../kernels/parts.ts";
import { NO_PAGES, ROUTER_KEEPS, router, routerConstants } from "../../kernels/router.ts";
import { ranksByScore } from "../../routing/choose.ts";
import { scoreFunctions } from "../../routing/registry.ts";
import type { ScoreFunction } from "../../routing/router.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { MoeSpec } from "../ops.ts";
import type { Scratch } from "../program.ts";
import { pendingOf } from "./lazy.ts";
import { exactInput, layerNormInput, type ProductInput } from "./product-input.ts";
import { type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";

/** Where routers write: ids, slots and weights, one behind another, each `[MoE layers, max tokens, topK]`. */
export interface ChoiceBuffer {
  readonly buffer: GPUBuffer;
  /** Choices of all layers: as many ids, then as many slots and weights. */
  readonly count: number;
}

/** Which layer's choice is made, where it goes, and whether experts are looked up in the page table. */
export interface RoutingTarget {
  readonly moe: number;
  readonly routingFirst: number;
  readonly out: ChoiceBuffer;
  readonly task: "looks-up" | "chooses";
}

/** What the router's workgroup memory, and its arrays of fixed length, have room for: see `shaders/moe/router.wgsl`. */
const MAX_EXPERTS = 512;
const MAX_TOP_K = 32;

/** `Ops.routeByToken`. */
export function recordTable(
  { gpu, recorder }: Recording,
  spec: MoeSpec,
  { moe, routingFirst, out, task }: RoutingTarget,
): void {
  const { buffer, rows, cols } = gpu.table(spec.router);
  checkWidth(spec.router, spec.topK, cols);
  const params = {
    vocab: rows,
    top_k: spec.topK,
    moe_index: moe,
    page_first: task === "looks-up" ? gpu.pageFirst(spec.pool) : NO_PAGES,
    routing_first: routingFirst,
    choice_count: out.count,
    weight: spec.scale / spec.topK,
  };
  recorder.dispatch(hashRouter, {
    params,
    ...(task === "looks-up" && { otherParams: { ...params, page_first: NO_PAGES } }),
    buffers: { table: buffer, page_table: gpu.pageTable, choices: out.buffer },
  });
}

/** `Ops.route`. */
export function recordRouter(
  recording: Recording,
  x: GpuTensor,
  spec: MoeSpec,
  { moe, routingFirst, out, task }: RoutingTarget,
): void {
  const { gpu, recorder } = recording;
  const { parts, format, rows, cols } = gpu.matrix(spec.router);
  checkWidth(spec.router, x.width, cols);
  checkWidth(spec.router, spec.experts, rows);
  checkMultiple(`cols of ${spec.router}`, cols, UNIT_WEIGHTS);
  checkMost(`the number of experts of layer ${spec.layer}`, spec.experts, MAX_EXPERTS);
  checkMost(`the experts a token of layer ${spec.layer}`, spec.topK, MAX_TOP_K);
  checkMost(`the buffers of ${spec.router}`, parts.length, 1);
  checkMost(`the groups of experts of layer ${spec.layer}`, spec.groups?.count ?? 1, spec.experts);
  const score: ScoreFunction = scoreFunctions[spec.score];
  if (ranksByScore(spec) && !score.growsWithLogit) {
    throw new Error(`unreachable: ${score.name} with a selection bias or groups`);
  }
  const input = routerInput(recording, x);
  const y = input.kept && recording.tensor(cols, x.single);
  const vectors = expertVectors(spec, input.vectors, input.vectors.length * cols);
  const params = {
    cols,
    experts: spec.experts,
    top_k: spec.topK,
    moe_index: moe,
    page_first: task === "looks-up" ? gpu.pageFirst(spec.pool) : NO_PAGES,
    routing_first: routingFirst,
    choice_count: out.count,
    renormalise: spec.renormalise || score.weigh ? 1 : 0,
    scale: spec.scale,
    ...vectors.starts,
    groups: spec.groups?.count ?? 1,
    groups_kept: spec.groups?.keep ?? 1,
    epsilon: input.epsilon,
    logit_scale: spec.logitScale ?? 1,
  };
  recorder.dispatch(router, {
    params,
    ...(task === "looks-up" && { otherParams: { ...params, page_first: NO_PAGES } }),
    buffers: {
      x: input.scratch,
      // What is not there is not read: any buffer does that is only read.
      residual: input.residual ?? input.scratch,
      page_table: gpu.pageTable,
      // Without vectors nothing reads it: any buffer does that is only read.
      vectors: vectors.names.length > 0 ? gpu.vectors(...vectors.names) : input.scratch,
      choices: out.buffer,
      // What is not there is not written, but no other buffer may be bound in its place.
      y: y?.scratch ?? recorder.scratch(NO_BYTES),
    },
    weights: parts[0]!.buffer,
    parts: [
      ...rowDotsParts(format, "router", { lanes: "PARTS", alone: true }),
      ...input.parts,
      // The kernel adds up the shares of its lanes by itself.
      variants.serial.matrix.reduce,
      ...score.parts,
      ranksByScore(spec) ? rankingParts.byScore : rankingParts.byLogit,
    ],
    constants: {
      ...routerConstants(gpu.variant.router.constants, spec.experts),
      EXPERTS: spec.experts,
      KEEPS: ROUTER_KEEPS[input.keeps],
    },
  });
  if (y) input.kept?.settle?.(y);
}

/** Of a buffer that is bound and not used: the least. */
const NO_BYTES = 16;

/** What a router reads, and what it computes on the way that others read. */
interface RouterInput extends ProductInput {
  readonly keeps: keyof typeof ROUTER_KEEPS;
  /** Which tensor that is. */
  readonly kept?: GpuTensor;
  readonly residual?: Scratch;
}

/**
 * A router takes the norm of its input that nobody has computed upon itself, and keeps a layer norm for the experts: it is
 * one workgroup a token, as that norm would be. Where it is the RMS norm of another one's sum with a residual, it computes
 * that sum, too.
 */
function routerInput(recording: Recording, x: GpuTensor): RouterInput {
  const layerNorm = pendingOf(x, "layer-norm");
  if (layerNorm) return { ...layerNormInput(layerNorm), keeps: "norm", kept: x };
  const norm = pendingOf(x, "norm");
  const sum = pendingOf(norm?.x, "norm-sum");
  if (!norm || !sum || sum.epsilon !== norm.epsilon) {
    return { ...exactInput(recording, x), keeps: "nothing" };
  }
  return {
    scratch: sum.x.scratch,
    parts: [routerInputParts.summed],
    vectors: [norm.weight, sum.weight],
    epsilon: norm.epsilon,
    integers: false,
    keeps: "sum",
    kept: norm.x,
    residual: sum.residual.scratch,
  };
}

/** Names of the vectors that a router reads behind those of its input, and where each of its own starts. */
function expertVectors(
  { experts, routerBias, selectionBias, expertScale }: MoeSpec,
  before: readonly string[],
  first: number,
) {
  const own = [routerBias, selectionBias, expertScale].filter((name) => name !== undefined);
  const start = (name: string | undefined) =>
    name === undefined ? NO_VECTOR : first + own.indexOf(name) * experts;
  return {
    names: [...before, ...own],
    starts: {
      router_bias: start(routerBias),
      selection_bias: start(selectionBias),
      expert_scale: start(expertScale),
    },
  };
}
