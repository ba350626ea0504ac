import { weightParts } from "../formats/parts.ts";
import { accept } from "../kernels/accept.ts";
import { add } from "../kernels/add.ts";
import { argmax } from "../kernels/argmax.ts";
import { argmaxRows } from "../kernels/argmax_rows.ts";
import { concat } from "../kernels/concat.ts";
import { embed } from "../kernels/embed.ts";
import { gatedUnit } from "../kernels/gated_unit.ts";
import { lastToken } from "../kernels/last_token.ts";
import { layerNorm } from "../kernels/layer_norm.ts";
import { logprob } from "../kernels/logprob.ts";
import { matmul } from "../kernels/matmul.ts";
import { matvec } from "../kernels/matvec.ts";
import { activationParts } from "../kernels/parts.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { shift } from "../kernels/shift.ts";
import { softcap } from "../kernels/softcap.ts";
import { checkMultiple, checkWidth } from "./checks.ts";
import { recordAttention } from "./gpu/attention.ts";
import { recordHeadLinear, recordLatentAttention } from "./gpu/latent.ts";
import { type GpuRouting, MoeRecording } from "./gpu/moe.ts";
import { type GpuTensor, Recording, UNIT_WEIGHTS } from "./gpu/recording.ts";
import { recordMamba2, recordShortConv } from "./gpu/recurrent.ts";
import type { GpuResources } from "./gpu-resources.ts";
import type {
  ActivationName,
  AttentionSpec,
  HeadLinearOptions,
  LatentAttentionSpec,
  LatentInputs,
  LayerNormOptions,
  LinearOptions,
  MoeSpec,
  NormOptions,
  Ops,
} from "./ops.ts";
import type { Program, Scratch } from "./program.ts";
import type { Mamba2Spec, ShortConvSpec } from "./recurrent.ts";

/** What a program is recorded for. */
export interface RecordOptions {
  readonly maxTokens: number;
  /** Can also give the log-probability of each token that follows another: see `Program.head`. */
  readonly scores?: boolean;
  /** Also runs each layer's router on what the layer before reads, as a guess. */
  readonly guesses?: boolean;
  /** Gives the most probable token after each of the pass's tokens, not after the last one alone. */
  readonly verifies?: boolean;
}

/**
 * Records a model's forward pass as dispatches, for passes of up to `maxTokens` tokens.
 * `finish` gives the program, which the caller owns.
 */
export class GpuOps implements Ops<GpuTensor, GpuRouting> {
  readonly #recording: Recording;
  readonly #moe: MoeRecording;
  readonly #scores: boolean;
  /** What the head makes logits of. */
  #rows: { readonly scratch: Scratch; readonly step: number } | undefined;
  #logits: { readonly scratch: Scratch; readonly step: number; readonly vocab: number } | undefined;
  readonly #verifies: boolean;
  /** The residual stream that the model ended with: what a block that predicts further tokens goes on from. */
  #stream: GpuTensor | undefined;
  /** The step at which that block begins. */
  #predictFirst: number | undefined;

  constructor(gpu: GpuResources, moe: readonly MoeSpec[], options: RecordOptions) {
    this.#recording = new Recording(gpu, options.maxTokens);
    this.#moe = new MoeRecording(this.#recording, moe, options.guesses ?? false);
    this.#scores = options.scores ?? false;
    this.#verifies = options.verifies ?? false;
  }

  embed(table: string, { scale = 1 }: { scale?: number } = {}): GpuTensor {
    const { gpu, recorder } = this.#recording;
    const matrix = gpu.matrix(table);
    const y = this.#recording.tensor(matrix.cols);
    for (const { buffer, firstRow, rows } of matrix.parts) {
      recorder.dispatch(embed, {
        params: { hidden: matrix.cols, vocab: matrix.rows, first_row: firstRow, rows, scale },
        buffers: { y: y.scratch },
        weights: buffer,
        parts: weightParts(matrix.format),
      });
    }
    return y;
  }

  rmsNorm(
    x: GpuTensor,
    weight: string,
    epsilon: number,
    options: NormOptions<GpuTensor> = {},
  ): GpuTensor {
    const { factor = 1, residual, scale } = options;
    const { gpu, recorder } = this.#recording;
    const weights = gpu.vector(weight, x.width);
    if (residual) checkWidth(weight, residual.width, x.width);
    const finishes = factor !== 1 || residual !== undefined || scale !== undefined;
    const y = this.#recording.tensor(x.width, x.single);
    recorder.dispatch(rmsNorm, {
      params: {
        width: x.width,
        epsilon,
        factor,
        has_residual: residual ? 1 : 0,
        has_scale: scale === undefined ? 0 : 1,
      },
      buffers: {
        x: x.scratch,
        weight: weights,
        // What is not there is not read: any buffer does that is only read.
        residual: (residual ?? x).scratch,
        scale: scale === undefined ? weights : gpu.vector(scale, 1),
        y: y.scratch,
      },
      parts: [gpu.variant.reduce],
      constants: { ...gpu.variant.norm, FINISHES: finishes ? 1 : 0 },
      single: x.single,
    });
    return y;
  }

  layerNorm(
    x: GpuTensor,
    weight: string,
    bias: string,
    { epsilon, centred = true }: LayerNormOptions,
  ): GpuTensor {
    const { gpu, recorder } = this.#recording;
    const y = this.#recording.tensor(x.width, x.single);
    recorder.dispatch(layerNorm, {
      params: { width: x.width, epsilon, centred: centred ? 1 : 0 },
      buffers: { x: x.scratch, weight_bias: gpu.vectors(weight, bias), y: y.scratch },
      parts: [gpu.variant.reduce],
      constants: gpu.variant.norm,
      single: x.single,
    });
    return y;
  }

  concat(a: GpuTensor, b: GpuTensor): GpuTensor {
    const y = this.#recording.tensor(a.width + b.width);
    this.#recording.recorder.dispatch(concat, {
      params: { a_width: a.width, b_width: b.width },
      buffers: { a: a.scratch, b: b.scratch, y: y.scratch },
    });
    return y;
  }

  add(a: GpuTensor, b: GpuTensor, { gate }: { gate?: GpuTensor } = {}): GpuTensor {
    checkWidth("b of a sum", b.width, a.width);
    if (gate) checkWidth("the gate of a sum", gate.width, 1);
    const y = this.#recording.tensor(a.width, a.single);
    this.#recording.recorder.dispatch(add, {
      params: { width: a.width, gated: gate ? 1 : 0 },
      // A gate that is not there is not read: any buffer does that is only read.
      buffers: { a: a.scratch, b: b.scratch, gate: (gate ?? a).scratch, y: y.scratch },
      single: a.single,
    });
    return y;
  }

  linear(x: GpuTensor, weight: string, options: LinearOptions<GpuTensor> = {}): GpuTensor {
    const { bias, scale = 1, residual } = options;
    const { gpu, recorder, maxTokens } = this.#recording;
    const { rows, cols, format, parts } = gpu.matrix(weight);
    checkWidth(weight, x.width, cols);
    checkMultiple(`cols of ${weight}`, cols, UNIT_WEIGHTS);
    if (residual) checkWidth(weight, residual.width, rows);
    const single = x.single || maxTokens === 1;
    const y = this.#recording.tensor(rows, x.single);
    for (const part of parts) {
      recorder.dispatch(single ? matvec : matmul, {
        params: {
          rows: part.rows,
          cols,
          has_bias: bias === undefined ? 0 : 1,
          has_residual: residual ? 1 : 0,
          first_row: part.firstRow,
          all_rows: rows,
          scale,
        },
        buffers: {
          x: x.scratch,
          // What is not there is not read: any buffer does that is only read.
          bias: bias === undefined ? x.scratch : gpu.vector(bias, rows),
          residual: (residual ?? x).scratch,
          y: y.scratch,
        },
        weights: part.buffer,
        parts: [...weightParts(format), gpu.variant.reduce],
        constants: gpu.variant.matrix,
        single,
      });
    }
    return y;
  }

  attention(q: GpuTensor, k: GpuTensor, v: GpuTensor, spec: AttentionSpec): GpuTensor {
    return recordAttention(this.#recording, { q, k, v }, spec);
  }

  shortConv(x: GpuTensor, spec: ShortConvSpec): GpuTensor {
    return recordShortConv(this.#recording, x, spec);
  }

  mamba2(x: GpuTensor, spec: Mamba2Spec): GpuTensor {
    return recordMamba2(this.#recording, x, spec);
  }

  headLinear(x: GpuTensor, weight: string, options: HeadLinearOptions): GpuTensor {
    return recordHeadLinear(this.#recording, x, weight, options);
  }

  latentAttention(inputs: LatentInputs<GpuTensor>, spec: LatentAttentionSpec): GpuTensor {
    return recordLatentAttention(this.#recording, inputs, spec);
  }

  softcap(x: GpuTensor, cap: number): GpuTensor {
    const y = this.#recording.tensor(x.width, x.single);
    this.#recording.recorder.dispatch(softcap, {
      params: { width: x.width, cap },
      buffers: { x: x.scratch, y: y.scratch },
      single: x.single,
    });
    return y;
  }

  gatedUnit(gate: GpuTensor, up: GpuTensor, activation: ActivationName): GpuTensor {
    checkWidth("up", up.width, gate.width);
    const y = this.#recording.tensor(gate.width, gate.single);
    this.#recording.recorder.dispatch(gatedUnit, {
      params: { width: gate.width },
      buffers: { gate: gate.scratch, up: up.scratch, y: y.scratch },
      parts: [activationParts[activation]],
      single: gate.single,
    });
    return y;
  }

  route(x: GpuTensor, spec: MoeSpec): GpuRouting {
    return this.#moe.route(x, spec);
  }

  routeByToken(spec: MoeSpec): GpuRouting {
    return this.#moe.routeByToken(spec);
  }

  experts(
    x: GpuTensor,
    choice: GpuRouting,
    spec: MoeSpec,
    options: { residual?: GpuTensor } = {},
  ): GpuTensor {
    return this.#moe.experts(x, choice, spec, options);
  }

  lastToken(x: GpuTensor): GpuTensor {
    const { recorder, maxTokens } = this.#recording;
    if (this.#predictFirst === undefined) {
      this.#rows = { scratch: x.scratch, step: recorder.length };
      this.#stream = x;
      if (this.#verifies) return x;
    }
    if (maxTokens === 1) return { ...x, single: true };
    const y = this.#recording.tensor(x.width, true);
    recorder.dispatch(lastToken, {
      params: { width: x.width },
      buffers: { x: x.scratch, y: y.scratch },
      single: true,
    });
    return y;
  }

  logits(x: GpuTensor): void {
    const { gpu, recorder } = this.#recording;
    if (this.#predictFirst !== undefined) {
      const buffers = { logits: x.scratch, result: gpu.guess };
      recorder.dispatch(argmax, { params: { vocab: x.width }, buffers });
      return;
    }
    this.#logits = { scratch: x.scratch, step: recorder.length, vocab: x.width };
    if (this.#verifies) {
      this.#dispatchVerdict();
      return;
    }
    recorder.dispatch(argmax, {
      params: { vocab: x.width },
      buffers: { logits: x.scratch, result: gpu.result },
    });
  }

  /** The most probable token after each row that the head made logits of. */
  #dispatchVerdict(): void {
    const { gpu, recorder } = this.#recording;
    if (!this.#logits) throw new Error("unreachable: a verdict before the logits");
    recorder.dispatch(argmaxRows, {
      params: { vocab: this.#logits.vocab },
      buffers: { logits: this.#logits.scratch, result: gpu.verdict },
      single: !this.#verifies,
    });
  }

  /** Records what scores the token that follows another, if it was asked for: the last thing to be recorded. */
  recordScorer(): void {
    const { gpu, recorder } = this.#recording;
    if (!this.#scores || !this.#logits || !this.#rows) return;
    recorder.dispatch(logprob, {
      params: { vocab: this.#logits.vocab },
      buffers: { logits: this.#logits.scratch, scores: gpu.scores },
    });
    // The head runs once for each token, so what it reads must outlive the last of its steps.
    recorder.keep(this.#rows.scratch);
  }

  /**
   * Records a block that goes on from the residual stream which the model ended with, over the tokens that follow those
   * of the pass: the pass's own tokens, each one further, without those that were drafted wrongly.
   */
  recordAhead(forward: (ops: GpuOps, stream: GpuTensor) => void): void {
    const { gpu, recorder, maxTokens } = this.#recording;
    if (!this.#stream) throw new Error("unreachable: a block before the model's end");
    this.#predictFirst = recorder.length;
    const params = { most: maxTokens };
    if (this.#verifies) {
      recorder.dispatch(accept, { params, buffers: { verdict: gpu.verdict } });
    } else {
      this.#dispatchVerdict();
      recorder.dispatch(shift, { params, buffers: { verdict: gpu.verdict } });
    }
    forward(this, this.#stream);
  }

  /** GPU bytes of the program: scratch, parameters and routing. */
  get bytes(): number {
    return this.#recording.recorder.bytes + this.#moe.bytes;
  }

  /** Gives back what was allocated, when `finish` is not called. */
  discard(): void {
    this.#moe.dispose();
  }

  /** Allocates and binds. Throws "shader-invalid", "out-of-memory", "missing-feature". */
  async finish(): Promise<Program> {
    const { recorder, maxTokens, gpu } = this.#recording;
    const { steps, others, dispose } = await recorder.build(gpu.control);
    const logits = this.#logits?.scratch.buffer;
    if (!logits || !this.#rows || !this.#logits) {
      throw new Error("unreachable: a model ends with the last token's logits");
    }
    const scorer = this.#scores ? steps.pop() : undefined;
    return {
      ...this.#moe.finish(others),
      maxTokens,
      steps,
      logits,
      head: { first: this.#rows.step, end: this.#logits.step },
      scorer,
      verifies: this.#verifies,
      predictFirst: this.#predictFirst ?? steps.length,
      dispose: () => {
        dispose();
        this.discard();
      },
    };
  }
}
