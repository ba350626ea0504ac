import { weightParts } from "../../formats/parts.ts";
import { headLinear } from "../../kernels/head_linear.ts";
import { headLinearTransposed } from "../../kernels/head_linear_transposed.ts";
import { latentAppend } from "../../kernels/latent_append.ts";
import { amongStrangers } from "../../kernels/parts.ts";
import { checkLeast, checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { HeadLinearOptions, LatentAttentionSpec, LatentInputs } from "../ops.ts";
import { recordCached } from "./attention.ts";
import { lazyTensor, pendingOf } from "./lazy.ts";
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
  { heads, rows, transposed = false }: HeadLinearOptions,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { rows: allRows, cols, format, parts } = gpu.matrix(weight);
  checkMost(`the buffers of ${weight}`, parts.length, 1);
  const headRows = allRows / heads;
  const { first, count } = rows ?? { first: 0, count: headRows };
  const share = x.width / heads;
  checkMultiple(`rows of ${weight}`, allRows, heads);
  checkMultiple(`cols of ${weight}`, cols, UNIT_WEIGHTS);
  checkMultiple(`a head's part of what ${weight} reads`, share, 4);
  checkLeast(weight, headRows, first + count);
  checkLeast(weight, share, transposed ? count : cols);
  const single = recording.maxTokens === 1;
  const own = single ? gpu.variant.matrix : gpu.variant.batch;
  const variant = transposed ? amongStrangers(own) : own;
  const { scratch } = x;
  const y = recording.tensor(heads * (transposed ? cols : count));
  recorder.dispatch(transposed ? headLinearTransposed : headLinear, {
    params: { heads, head_rows: headRows, first_row: first, rows: count, cols, x_width: share },
    buffers: { x: scratch, y: y.scratch },
    weights: parts[0]!.buffer,
    parts: [...weightParts(format), variant.reduce],
    constants: { ...variant.constants, TOKENS: single ? 1 : TOKEN_TILE },
  });
  return y;
}

/** What `latent_append` reads; kv starts at number `kvFirst` of its buffer. */
interface PlacedInputs extends LatentInputs<GpuTensor> {
  readonly kvFirst: number;
}

/**
 * Queries, or what they are made of where they are compressed, and compressed keys and values in one dispatch, for a pass
 * of one token; the inputs as they are where that cannot be.
 */
function placeInputs(recording: Recording, inputs: LatentInputs<GpuTensor>): PlacedInputs {
  const { q, absorbed, kv } = inputs;
  const apart = { ...inputs, kvFirst: 0 };
  const product = pendingOf(absorbed, "head-linear");
  if (product?.x !== q) return apart;
  const query = pendingOf(q, "linear");
  const norm = pendingOf(query?.x, "norm");
  const input = pendingOf(kv, "linear")?.x;
  const compressed = input && pendingOf(norm?.x, "linear")?.x === input ? norm?.x : undefined;
  const first = compressed ?? q;
  const together = recordSideBySide(recording, [first, kv]);
  if (!together) return apart;
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
    absorbed: recordHeadLinear(recording, queries, product.weight, product.options),
    kv: { width: kv.width, single: kv.single, scratch: together.scratch },
    kvFirst: first.width,
  };
}

/** `Ops.latentAttention`. */
export function recordLatentAttention(
  recording: Recording,
  inputs: LatentInputs<GpuTensor>,
  spec: LatentAttentionSpec,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { q, absorbed, kv, kvFirst } = placeInputs(recording, inputs);
  const { layer, heads, headDim, valueDim, rope, latent } = spec;
  checkWidth(`absorbed queries of layer ${layer}`, absorbed.width, heads * valueDim);
  checkWidth(`kv of layer ${layer}`, kv.width, headDim);
  const read = { q: q.scratch, absorbed: absorbed.scratch, kv: kv.scratch };
  const rotated = recording.tensor(heads * headDim);
  return recordCached(recording, spec, ({ buffer, layout, format }) => {
    recorder.dispatch(latentAppend, {
      params: {
        heads,
        q_width: q.width / heads,
        kv_first: kvFirst,
        rank: valueDim,
        rope_dims: rope.dims,
        rows: layout.rows,
        row_quads: layout.keyRowQuads,
        scales: layout.keyScales,
        pairing: rope.pairing === "interleaved" ? 1 : 0,
        epsilon: latent.epsilon,
      },
      buffers: {
        ...read,
        norm: gpu.vector(latent.norm, valueDim),
        table: gpu.ropeTable(rope),
        q_out: rotated.scratch,
        cache: buffer,
      },
      parts: [gpu.variant.rotate.reduce, format.write],
      constants: gpu.variant.rotate.constants,
    });
    return rotated;
  });
}
