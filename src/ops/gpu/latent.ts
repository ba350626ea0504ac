import { weightParts } from "../../formats/parts.ts";
import { headLinear } from "../../kernels/head_linear.ts";
import { headLinearTransposed } from "../../kernels/head_linear_transposed.ts";
import { latentAppend } from "../../kernels/latent_append.ts";
import { amongStrangers } from "../../kernels/parts.ts";
import { checkLeast, checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { HeadLinearOptions, LatentAttentionSpec, LatentInputs } from "../ops.ts";
import { recordCached } from "./attention.ts";
import { type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";

/** Tokens that share what is read of a head's matrix. */
const TOKEN_TILE = 4;

/** `Ops.headLinear`. */
export function recordHeadLinear(
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
  const y = recording.tensor(heads * (transposed ? cols : count));
  recorder.dispatch(transposed ? headLinearTransposed : headLinear, {
    params: { heads, head_rows: headRows, first_row: first, rows: count, cols, x_width: share },
    buffers: { x: x.scratch, y: y.scratch },
    weights: parts[0]!.buffer,
    parts: [...weightParts(format), variant.reduce],
    constants: { ...variant.constants, TOKENS: single ? 1 : TOKEN_TILE },
  });
  return y;
}

/** `Ops.latentAttention`. */
export function recordLatentAttention(
  recording: Recording,
  { q, absorbed, kv }: LatentInputs<GpuTensor>,
  spec: LatentAttentionSpec,
): GpuTensor {
  const { gpu, recorder } = recording;
  const { layer, heads, headDim, valueDim, rope, latent } = spec;
  checkWidth(`absorbed queries of layer ${layer}`, absorbed.width, heads * valueDim);
  checkWidth(`kv of layer ${layer}`, kv.width, headDim);
  const rotated = recording.tensor(heads * headDim);
  return recordCached(recording, spec, ({ buffer, layout, format }) => {
    recorder.dispatch(latentAppend, {
      params: {
        heads,
        q_width: q.width / heads,
        rank: valueDim,
        rope_dims: rope.dims,
        rows: layout.rows,
        row_quads: layout.keyRowQuads,
        scales: layout.keyScales,
        pairing: rope.pairing === "interleaved" ? 1 : 0,
        epsilon: latent.epsilon,
      },
      buffers: {
        q: q.scratch,
        absorbed: absorbed.scratch,
        kv: kv.scratch,
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
