import { weightParts } from "../../formats/parts.ts";
import type { Constants } from "../../gpu/kernel.ts";
import { HEAD_OUTPUTS, headLinear } from "../../kernels/head_linear.ts";
import { latentAppend } from "../../kernels/latent_append.ts";
import { mergedHeadLinear } from "../../kernels/merged_head_linear.ts";
import { amongStrangers, headParts } from "../../kernels/parts.ts";
import { checkLeast, checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { HeadLinearOptions, LatentAttentionSpec, LatentInputs } from "../ops.ts";
import { recordCached } from "./attention.ts";
import { lazyTensor, type PendingSpans, pendingOf } from "./lazy.ts";
import { recordLinear, recordSideBySide } from "./linear.ts";
import { recordNorm } from "./norms.ts";
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
    params: { heads, head_rows: headRows, first_row: first, rows: count, cols, x_width: share },
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

/** What `latent_append` reads; kv starts at number `kvFirst` of its buffer. */
interface PlacedInputs extends Pick<LatentInputs<GpuTensor>, "q" | "kv"> {
  readonly kvFirst: number;
}

/**
 * Queries, or what they are made of where they are compressed, and compressed keys and values in one dispatch, for a pass
 * of one token; the inputs as they are where that cannot be.
 */
function placeInputs(
  recording: Recording,
  { q, kv }: Pick<LatentInputs<GpuTensor>, "q" | "kv">,
): PlacedInputs {
  const query = pendingOf(q, "linear");
  const norm = pendingOf(query?.x, "norm");
  const input = pendingOf(kv, "linear")?.x;
  const compressed = input && pendingOf(norm?.x, "linear")?.x === input ? norm?.x : undefined;
  const first = compressed ?? q;
  const together = recordSideBySide(recording, [first, kv]);
  if (!together) return { q, kv, kvFirst: 0 };
  const own = { width: first.width, single: first.single, scratch: together.scratch };
  const queries =
    compressed && query && norm
      ? recordLinear(
          recording,
          recordNorm(recording, own, norm.weight, norm.epsilon, {}),
          query.weight,
          query.options,
        )
      : own;
  return {
    q: queries,
    kv: { width: kv.width, single: kv.single, scratch: together.scratch },
    kvFirst: first.width,
  };
}

/** Invocations that share a row of the cache. */
const LEAST_INVOCATIONS = 64;

/** `Ops.latentAttention`: queries are absorbed on their way to the cache's side. */
export function recordLatentAttention(
  recording: Recording,
  { absorbed, ...inputs }: LatentInputs<GpuTensor>,
  spec: LatentAttentionSpec,
): GpuTensor {
  const { layer, heads, headDim, valueDim, rope, latent } = spec;
  checkWidth(`absorbed queries of layer ${layer}`, absorbed.width, heads * valueDim);
  checkWidth(`kv of layer ${layer}`, inputs.kv.width, headDim);
  const absorbing = pendingOf(absorbed, "head-linear");
  if (absorbing?.x !== inputs.q) throw new Error("unreachable: queries that are not absorbed");
  const { gpu, recorder } = recording;
  const { q, kv, kvFirst } = placeInputs(recording, inputs);
  const products = planHeads(recording, q.width, absorbing.weight, absorbing.options);
  const { LANES = 1, ROWS = 1 } = products.sizes;
  const read = { x: q.scratch, kv: kv.scratch };
  const queries = recording.tensor(heads * headDim);
  return recordCached(recording, spec, ({ buffer, layout, format }) => {
    recorder.dispatch(latentAppend, {
      params: {
        ...products.params,
        kv_first: kvFirst,
        rank: valueDim,
        rope_dims: rope.dims,
        cache_rows: layout.rows,
        row_quads: layout.keyRowQuads,
        scales: layout.keyScales,
        pairing: rope.pairing === "interleaved" ? 1 : 0,
        epsilon: latent.epsilon,
      },
      buffers: {
        ...read,
        norm: gpu.vector(latent.norm, valueDim),
        table: gpu.ropeTable(rope),
        q_out: queries.scratch,
        cache: buffer,
      },
      weights: products.buffer,
      parts: [...products.loads, products.head, products.reduce, ...[format.read, format.write]],
      constants: {
        ...products.sizes,
        ...products.tile,
        ROWS: Math.max(ROWS, LEAST_INVOCATIONS / LANES),
      },
    });
    return queries;
  });
}
