import { hashRouter } from "../../kernels/hash_router.ts";
import { NO_VECTOR } from "../../kernels/matvec.ts";
import { rankingParts, rowDotsParts, variants } from "../../kernels/parts.ts";
import { router } from "../../kernels/router.ts";
import { ranksByScore } from "../../routing/choose.ts";
import { scoreFunctions } from "../../routing/registry.ts";
import type { ScoreFunction } from "../../routing/router.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { MoeSpec } from "../ops.ts";
import { exactInput } from "./product-input.ts";
import { type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";

/** Where a router writes; each `[MoE layers, max tokens, topK]`. */
export interface RoutingBuffers {
  readonly ids: GPUBuffer;
  readonly slots: GPUBuffer;
  readonly weights: GPUBuffer;
}

/** Which layer's choice is made, where it goes, and whether experts are looked up in the page table. */
export interface RoutingTarget {
  readonly moe: number;
  readonly routingFirst: number;
  readonly out: RoutingBuffers;
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
    page_first: gpu.pageFirst(spec.pool),
    routing_first: routingFirst,
    looks_up: task === "looks-up" ? 1 : 0,
    weight: spec.scale / spec.topK,
  };
  recorder.dispatch(hashRouter, {
    params,
    ...(task === "looks-up" && { otherParams: { ...params, looks_up: 0 } }),
    buffers: {
      table: buffer,
      page_table: gpu.pageTable,
      ids: out.ids,
      slots: out.slots,
      expert_weights: out.weights,
    },
  });
}

/** `Ops.route`. */
export function recordRouter(
  { gpu, recorder }: Recording,
  x: GpuTensor,
  spec: MoeSpec,
  { moe, routingFirst, out, task }: RoutingTarget,
): void {
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
  const input = exactInput(x);
  const vectors = expertVectors(spec, input.vectors, input.vectors.length * cols);
  const params = {
    cols,
    experts: spec.experts,
    top_k: spec.topK,
    moe_index: moe,
    page_first: gpu.pageFirst(spec.pool),
    routing_first: routingFirst,
    renormalise: spec.renormalise || score.weigh ? 1 : 0,
    looks_up: task === "looks-up" ? 1 : 0,
    scale: spec.scale,
    ...vectors.starts,
    groups: spec.groups?.count ?? 1,
    groups_kept: spec.groups?.keep ?? 1,
    epsilon: input.epsilon,
    logit_scale: spec.logitScale ?? 1,
  };
  recorder.dispatch(router, {
    params,
    ...(task === "looks-up" && { otherParams: { ...params, looks_up: 0 } }),
    buffers: {
      x: input.scratch,
      page_table: gpu.pageTable,
      // Without vectors nothing reads it: any buffer does that is only read.
      vectors: vectors.names.length > 0 ? gpu.vectors(...vectors.names) : input.scratch,
      ids: out.ids,
      slots: out.slots,
      expert_weights: out.weights,
    },
    weights: parts[0]!.buffer,
    parts: [
      ...rowDotsParts(format, "router", { lanes: "PARTS" }),
      ...input.parts,
      // The kernel adds up the shares of its lanes by itself.
      variants.serial.matrix.reduce,
      ...score.parts,
      ranksByScore(spec) ? rankingParts.byScore : rankingParts.byLogit,
    ],
    constants: { ...gpu.variant.router.constants, EXPERTS: spec.experts },
  });
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
