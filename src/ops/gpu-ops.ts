import { weightParts } from "../formats/parts.ts";
import { accept } from "../kernels/accept.ts";
import { add } from "../kernels/add.ts";
import { argmaxRows } from "../kernels/argmax_rows.ts";
import { concat } from "../kernels/concat.ts";
import { embed } from "../kernels/embed.ts";
import { lastToken } from "../kernels/last_token.ts";
import { shift } from "../kernels/shift.ts";
import { softcap } from "../kernels/softcap.ts";
import { checkWidth } from "./checks.ts";
import { recordAttention } from "./gpu/attention.ts";
import { recordHeadLinear, recordLatentAttention } from "./gpu/latent.ts";
import { lazyTensor } from "./gpu/lazy.ts";
import { recordGatedUnit, recordLinear, recordSideBySide } from "./gpu/linear.ts";
import { type GpuRouting, MoeRecording } from "./gpu/moe.ts";
import { recordLayerNorm, recordNorm } from "./gpu/norms.ts";
import { type GpuTensor, Recording } from "./gpu/recording.ts";
import { recordMamba2, recordShortConv } from "./gpu/recurrent.ts";
import { type ChooserSteps, recordChoosers } from "./gpu/sampling.ts";
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
  /** The model's logits, and the step behind those that make them. */
  #logits: { readonly tensor: GpuTensor; readonly step: number } | undefined;
  #choosers: ChooserSteps | undefined;
  readonly #verifies: boolean;
  /** The residual stream that the model ended with: what a block that predicts further tokens goes on from. */
  #stream: GpuTensor | undefined;
  /** The step at which that block begins. */
  #predictFirst: number | undefined;
  /** The step behind those of every pass. */
  #end: number | undefined;

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
    return recordNorm(this.#recording, x, weight, epsilon, options);
  }

  layerNorm(x: GpuTensor, weight: string, bias: string, options: LayerNormOptions): GpuTensor {
    return recordLayerNorm(this.#recording, x, weight, bias, options);
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
    const record = () => this.#recordSum(a, b, gate);
    return gate ? lazyTensor(a, { kind: "sum", a, b, gate }, record) : record();
  }

  #recordSum(a: GpuTensor, b: GpuTensor, gate: GpuTensor | undefined): GpuTensor {
    const buffers = { a: a.scratch, b: b.scratch, gate: (gate ?? a).scratch };
    const y = this.#recording.tensor(a.width, a.single);
    this.#recording.recorder.dispatch(add, {
      params: { width: a.width, gated: gate ? 1 : 0 },
      // A gate that is not there is not read: any buffer does that is only read.
      buffers: { ...buffers, y: y.scratch },
      single: a.single,
    });
    return y;
  }

  linear(x: GpuTensor, weight: string, options: LinearOptions<GpuTensor> = {}): GpuTensor {
    return recordLinear(this.#recording, x, weight, options);
  }

  attention(q: GpuTensor, k: GpuTensor, v: GpuTensor, spec: AttentionSpec): GpuTensor {
    const apart = k === v ? [q, k] : [q, k, v];
    const together = spec.fused === undefined && recordSideBySide(this.#recording, apart);
    if (!together) return recordAttention(this.#recording, { q, k, v }, spec);
    const all = { q: together, k: together, v: together };
    return recordAttention(this.#recording, all, { ...spec, fused: "queries, keys and values" });
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
    return recordGatedUnit(this.#recording, gate, up, activation);
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
    const { scratch } = x;
    const rows = { width: x.width, scratch, single: x.single };
    if (this.#predictFirst === undefined) {
      this.#rows = { scratch, step: recorder.length };
      this.#stream = rows;
      if (this.#verifies) return rows;
    }
    if (maxTokens === 1) return { ...rows, single: true };
    const y = this.#recording.tensor(x.width, true);
    recorder.dispatch(lastToken, {
      params: { width: x.width },
      buffers: { x: scratch, y: y.scratch },
      single: true,
    });
    return y;
  }

  logits(x: GpuTensor): void {
    const { gpu } = this.#recording;
    const { width, single, scratch } = x;
    if (this.#predictFirst !== undefined) {
      this.#dispatchMostProbable(x, gpu.guess);
      return;
    }
    const tensor = { width, single, scratch };
    this.#logits = { tensor, step: this.#recording.recorder.length };
    if (this.#verifies) this.#dispatchMostProbable(tensor, gpu.verdict);
  }

  /** The most probable token after each row of logits. */
  #dispatchMostProbable({ scratch, width, single }: GpuTensor, result: GPUBuffer): void {
    this.#recording.recorder.dispatch(argmaxRows, {
      params: { vocab: width },
      buffers: { logits: scratch, result },
      single,
    });
  }

  /** Records what chooses the next token and what scores a given one: the last thing to be recorded. */
  recordEnd(): void {
    const { recorder } = this.#recording;
    if (!this.#logits || !this.#rows) return;
    const { tensor } = this.#logits;
    this.#end = recorder.length;
    if (!this.#verifies) {
      this.#choosers = recordChoosers(this.#recording, tensor, { scores: this.#scores });
    }
    // They are read when the pass is over.
    recorder.keep(tensor.scratch);
    // The head runs once for each token, so what it reads must outlive the last of its steps.
    if (this.#scores) recorder.keep(this.#rows.scratch);
  }

  /**
   * Records a block that goes on from the residual stream which the model ended with, over the tokens that follow those
   * of the pass: the pass's own tokens, each one further, without those that were drafted wrongly.
   */
  recordAhead(forward: (ops: GpuOps, stream: GpuTensor) => void): void {
    const { gpu, recorder, maxTokens } = this.#recording;
    if (!this.#stream || !this.#logits) throw new Error("unreachable: a block before the end");
    this.#predictFirst = recorder.length;
    const params = { most: maxTokens };
    if (this.#verifies) {
      recorder.dispatch(accept, { params, buffers: { verdict: gpu.verdict } });
    } else {
      this.#dispatchMostProbable(this.#logits.tensor, gpu.verdict);
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

  /**
   * Allocates and binds. Throws "shader-invalid", "out-of-memory", "missing-feature".
   * @param lent scratch of another program to use: see `Recorder.build`
   */
  async finish(lent?: readonly GPUBuffer[]): Promise<Program> {
    const { recorder, maxTokens, gpu } = this.#recording;
    const { steps, others, scratch, dispose } = await recorder.build(gpu.control, lent);
    const logits = this.#logits?.tensor.scratch.buffer;
    const end = this.#end;
    if (!logits || !this.#rows || !this.#logits || end === undefined) {
      throw new Error("unreachable: a model ends with the last token's logits");
    }
    return {
      ...this.#moe.finish(others),
      ...(this.#choosers?.(steps) ?? { choosers: undefined, scorer: undefined }),
      maxTokens,
      steps: steps.slice(0, end),
      logits,
      head: { first: this.#rows.step, end: this.#logits.step },
      scratch,
      verifies: this.#verifies,
      predictFirst: this.#predictFirst ?? end,
      dispose: () => {
        dispose();
        this.discard();
      },
    };
  }
}
