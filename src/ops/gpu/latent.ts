import { weightParts } from "../../formats/parts.ts";
import type { Constants } from "../../gpu/kernel.ts";
import { compressedAppend, MOST_QUERY_WIDTH } from "../../kernels/compressed_append.ts";
import { HEAD_OUTPUTS, headLinear } from "../../kernels/head_linear.ts";
import { latentAppend } from "../../kernels/latent_append.ts";
import { mergedHeadLinear } from "../../kernels/merged_head_linear.ts";
import {
  amongStrangers,
  headParts,
  inputParts,
  MOST_SUMMING,
  rowDotsParts,
} from "../../kernels/parts.ts";
import { checkLeast, checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { KvLayout } from "../kv-layout.ts";
import type { HeadLinearOptions, LatentAttentionSpec, LatentInputs } from "../ops.ts";
import { type CacheTarget, recordCached } from "./attention.ts";
import {
  lazyTensor,
  type PendingLinear,
  type PendingNorm,
  type PendingSpans,
  pendingOf,
} from "./lazy.ts";
import { isPlain, isWhole, recordLinear, recordSideBySide } from "./linear.ts";
import { recordNorm } from "./norms.ts";
import { blocksFor } from "./product-input.ts";
import { type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";

/** Tokens that share what is read of a head's matrix. */
const TOKEN_TILE = 4;

/** `Ops.headLinear`; it is left to what reads it. */
export function recordHeadLinear(
  recording: Recording,
  x: GpuTensor,
  weight: string,
  options: HeadLinearOptions,
): GpuTensor {
  const { heads, rows, transposed = false } = options;
  const { rows: allRows, cols } = recording.gpu.matrix(weight);
  const width = transposed ? heads * cols : heads * (rows?.count ?? allRows / heads);
  const pending = { kind: "head-linear", x, weight, options } as const;
  return lazyTensor({ width, single: x.single }, pending, () =>
    recordHeadProduct(recording, x, weight, options),
  );
}

function recordHeadProduct(
  recording: Recording,
  x: GpuTensor,
  weight: string,
  options: HeadLinearOptions,
): GpuTensor {
  const products = planHeads(recording, x.width, weight, options);
  const spans = pendingOf(x, "spans");
  if (spans && recording.maxTokens === 1 && !options.transposed) {
    return recordMergedProduct(recording, spans, products);
  }
  const { scratch } = x;
  const y = recording.tensor(products.params.heads * products.outputs);
  recording.recorder.dispatch(headLinear, {
    params: products.params,
    buffers: { x: scratch, y: y.scratch },
    weights: products.buffer,
    parts: [...products.loads, products.head, products.reduce],
    constants: { ...products.sizes, ...products.tile },
  });
  return y;
}

/** The same of what a split attention gives, which is merged on the way. */
function recordMergedProduct(
  recording: Recording,
  spans: PendingSpans,
  products: ReturnType<typeof planHeads>,
): GpuTensor {
  const y = recording.tensor(products.params.heads * products.outputs);
  recording.recorder.dispatch(mergedHeadLinear, {
    params: { ...products.params, ...spans.params },
    buffers: { parts: spans.parts, sinks: spans.sinks, y: y.scratch },
    weights: products.buffer,
    parts: [...products.loads, products.head, products.reduce],
    constants: products.sizes,
  });
  return y;
}

/** How a kernel computes products with each head's matrix, of an input of `width` numbers. */
function planHeads(
  { gpu, maxTokens }: Recording,
  width: number,
  weight: string,
  { heads, rows, transposed = false }: HeadLinearOptions,
) {
  const { rows: allRows, cols, format, parts } = gpu.matrix(weight);
  checkMost(`the buffers of ${weight}`, parts.length, 1);
  const headRows = allRows / heads;
  const { first, count } = rows ?? { first: 0, count: headRows };
  const share = width / heads;
  checkMultiple(`rows of ${weight}`, allRows, heads);
  checkMultiple(`cols of ${weight}`, cols, UNIT_WEIGHTS);
  checkMultiple(`a head's part of what ${weight} reads`, share, 4);
  checkLeast(weight, headRows, first + count);
  checkLeast(weight, share, transposed ? count : cols);
  const single = maxTokens === 1;
  const own = single ? gpu.variant.matrix : gpu.variant.batch;
  const variant = transposed ? amongStrangers(own) : own;
  const by = transposed ? "columns" : "rows";
  return {
    params: {
      heads,
      head_rows: headRows,
      first_row: first,
      rows: count,
      head_cols: cols,
      x_width: share,
    },
    /** Numbers that a head gives. */
    outputs: transposed ? cols : count,
    buffer: parts[0]!.buffer,
    loads: weightParts(format),
    head: headParts[by],
    reduce: variant.reduce,
    sizes: variant.constants as Constants,
    tile: { TOKENS: single ? 1 : TOKEN_TILE, OUTPUTS: HEAD_OUTPUTS[by] },
  };
}

/** Invocations that share a row of the cache. */
const LEAST_INVOCATIONS = 64;
/** Fours of a query's rows that each lane, or those that share a row, expand at once. */
const EXPANDING_FOURS = 2;
/** Of GPUs, about: as many as their processors want where each head's query is expanded by all of its workgroups. */
const EXPANDING_WORKGROUPS = 64;

/** `Ops.latentAttention`: queries are absorbed on their way to the cache's side. */
export function recordLatentAttention(
  recording: Recording,
  { absorbed, q, kv }: LatentInputs<GpuTensor>,
  spec: LatentAttentionSpec,
): GpuTensor {
  const { layer, heads, headDim, valueDim } = spec;
  checkWidth(`absorbed queries of layer ${layer}`, absorbed.width, heads * valueDim);
  checkWidth(`kv of layer ${layer}`, kv.width, headDim);
  const absorbing = pendingOf(absorbed, "head-linear");
  if (absorbing?.x !== q) throw new Error("unreachable: queries that are not absorbed");
  const parts = {
    spec,
    products: planHeads(recording, q.width, absorbing.weight, absorbing.options),
    queries: recording.tensor(heads * headDim),
  };
  const compressed = compressedQueries(recording, q, kv);
  const first = compressed?.x ?? q;
  const together = recordSideBySide(recording, [first, kv]);
  return recordCached(recording, spec, (target) => {
    if (together && compressed && headsExpand(recording, compressed, parts)) {
      recordCompressedAppend(recording, together, compressed, parts, target);
    } else {
      const expand = (from: GpuTensor) =>
        compressed ? expanded(recording, from, compressed) : from;
      const placed = together
        ? { q: expand(together), kv: together, kvFirst: first.width }
        : { q, kv, kvFirst: 0 };
      recordLatentAppend(recording, placed, parts, target);
    }
    return parts.queries;
  });
}

/** What both ways to make a layer's queries and cached rows go by. */
interface LatentParts {
  readonly spec: LatentAttentionSpec;
  readonly products: ReturnType<typeof planHeads>;
  /** Where queries go. */
  readonly queries: GpuTensor;
}

/** Queries that are a product of the norm of `x`. */
interface CompressedQueries {
  readonly x: GpuTensor;
  readonly norm: PendingNorm;
  readonly query: PendingLinear;
}

/** What queries are expanded from, in passes of one token, when it is made of what keys and values are made of. */
function compressedQueries(
  { maxTokens }: Recording,
  q: GpuTensor,
  kv: GpuTensor,
): CompressedQueries | undefined {
  const query = pendingOf(q, "linear");
  const norm = pendingOf(query?.x, "norm");
  const input = pendingOf(norm?.x, "linear")?.x;
  if (maxTokens > 1 || !query || !norm || input !== pendingOf(kv, "linear")?.x) return undefined;
  return { x: norm.x, norm, query };
}

/** Whether heads can expand their queries before they absorb them: a product of numbers as they are. */
function headsExpand(
  { gpu }: Recording,
  { x, norm, query }: CompressedQueries,
  { spec, products }: LatentParts,
): boolean {
  const matrix = gpu.matrix(query.weight);
  const isBare = isPlain(query) && query.options.bias === undefined;
  const isReadAsItIs = isWhole(matrix) && !blocksFor(gpu, matrix.format);
  const hasRoom = products.params.x_width <= MOST_QUERY_WIDTH && x.width % UNIT_WEIGHTS === 0;
  return isBare && isReadAsItIs && hasRoom && norm.epsilon === spec.latent.epsilon;
}

/** Queries from what they are compressed to, which stands first in `together`. */
function expanded(
  recording: Recording,
  { scratch }: GpuTensor,
  { x, norm, query }: CompressedQueries,
): GpuTensor {
  const own = { width: x.width, single: x.single, scratch };
  const normed = recordNorm(recording, own, norm.weight, norm.epsilon, {});
  return recordLinear(recording, normed, query.weight, query.options);
}

/** Absorbs queries and caches a row: in one tensor with kv, which starts at its number `kvFirst`, or in two. */
function recordLatentAppend(
  { gpu, recorder }: Recording,
  { q, kv, kvFirst }: { readonly q: GpuTensor; readonly kv: GpuTensor; readonly kvFirst: number },
  { spec, products, queries }: LatentParts,
  { buffer, layout, format }: CacheTarget,
): void {
  const { LANES = 1, ROWS = 1 } = products.sizes;
  recorder.dispatch(latentAppend, {
    params: { ...products.params, kv_first: kvFirst, ...latentParamsOf(spec, layout) },
    buffers: {
      x: q.scratch,
      kv: kv.scratch,
      norm: gpu.vector(spec.latent.norm, spec.valueDim),
      table: gpu.ropeTable(spec.rope),
      q_out: queries.scratch,
      cache: buffer,
    },
    weights: products.buffer,
    parts: [...products.loads, products.head, products.reduce, format.read, format.write],
    constants: {
      ...products.sizes,
      ...products.tile,
      ROWS: Math.max(ROWS, LEAST_INVOCATIONS / LANES),
    },
  });
}

/** The same of queries that each head expands first. */
function recordCompressedAppend(
  { gpu, recorder }: Recording,
  together: GpuTensor,
  { x, norm, query }: CompressedQueries,
  { spec, products, queries }: LatentParts,
  { buffer, layout, format }: CacheTarget,
): void {
  const matrix = gpu.matrix(query.weight);
  const { LANES = 1 } = products.sizes;
  const isAlone = LANES === 1;
  // A lane that has rows alone waits for no other: no more of them than a query has rows for.
  const ROWS = isAlone
    ? 2 ** Math.ceil(Math.log2(Math.max(1, products.params.x_width / (4 * EXPANDING_FOURS))))
    : MOST_SUMMING / LANES;
  const sharers = isAlone ? 1 : Math.max(1, Math.floor(EXPANDING_WORKGROUPS / spec.heads));
  recorder.dispatch(compressedAppend, {
    params: {
      ...products.params,
      cols: x.width,
      tiles: sharers,
      kv_first: x.width,
      ...latentParamsOf(spec, layout),
    },
    buffers: {
      x: together.scratch,
      vectors: gpu.vectors(norm.weight, spec.latent.norm),
      table: gpu.ropeTable(spec.rope),
      q_out: queries.scratch,
      cache: buffer,
    },
    weights: [products.buffer, matrix.parts[0]!.buffer],
    parts: [
      ...products.loads,
      products.head,
      ...rowDotsParts(matrix.format, "queries", { binding: 1 }),
      inputParts.normed,
      products.reduce,
      ...[format.read, format.write],
    ],
    constants: {
      ...products.sizes,
      ROWS,
      FOURS: EXPANDING_FOURS,
      OUTPUTS: products.tile.OUTPUTS,
    },
  });
}

/** How a row of the cache is made, as kernels take it: see `shaders/rope/latent.wgsl`. */
function latentParamsOf({ valueDim, rope, latent }: LatentAttentionSpec, layout: KvLayout) {
  return {
    rank: valueDim,
    rope_dims: rope.dims,
    cache_rows: layout.rows,
    row_quads: layout.keyRowQuads,
    scales: layout.keyScales,
    pairing: rope.pairing === "interleaved" ? 1 : 0,
    epsilon: latent.epsilon,
  };
}
