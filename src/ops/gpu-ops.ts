import { weightParts } from "../formats/parts.ts";
import { add } from "../kernels/add.ts";
import { embed } from "../kernels/embed.ts";
import { lastToken } from "../kernels/last_token.ts";
import { layerNorm } from "../kernels/layer_norm.ts";
import { softcap } from "../kernels/softcap.ts";
import { checkWidth } from "./checks.ts";
import { recordAttention } from "./gpu/attention.ts";
import { recordHeadLinear, recordLatentAttention } from "./gpu/latent.ts";
import { lazyTensor } from "./gpu/lazy.ts";
import { recordGatedUnit, recordLinear, recordNorm, recordSideBySide } from "./gpu/linear.ts";
import { type GpuRouting, MoeRecording } from "./gpu/moe.ts";
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
  #logits: { readonly scratch: Scratch; readonly step: number } | undefined;
  #choosers: ChooserSteps | undefined;

  constructor(gpu: GpuResources, moe: readonly MoeSpec[], options: RecordOptions) {
    this.#recording = new Recording(gpu, options.maxTokens);
    this.#moe = new MoeRecording(this.#recording, moe, options.guesses ?? false);
    this.#scores = options.scores ?? false;
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
      parts: [gpu.variant.norm.reduce],
      constants: gpu.variant.norm.constants,
      single: x.single,
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
    const together = spec.fused === undefined && recordSideBySide(this.#recording, [q, k, v]);
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
    this.#rows = { scratch, step: recorder.length };
    if (maxTokens === 1) return { width: x.width, scratch, single: true };
    const y = this.#recording.tensor(x.width, true);
    recorder.dispatch(lastToken, {
      params: { width: x.width },
      buffers: { x: scratch, y: y.scratch },
      single: true,
    });
    return y;
  }

  logits(x: GpuTensor): void {
    const { recorder } = this.#recording;
    const { scratch } = x;
    this.#logits = { scratch, step: recorder.length };
    this.#choosers = recordChoosers(this.#recording, x, { scores: this.#scores });
    // The head runs once for each token, so what it reads must outlive the last of its steps.
    if (this.#scores && this.#rows) recorder.keep(this.#rows.scratch);
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
    const logits = this.#logits?.scratch.buffer;
    if (!logits || !this.#rows || !this.#logits || !this.#choosers) {
      throw new Error("unreachable: a model ends with the last token's logits");
    }
    const end = this.#logits.step;
    return {
      ...this.#moe.finish(others),
      ...this.#choosers(steps),
      maxTokens,
      steps: steps.slice(0, end),
      logits,
      head: { first: this.#rows.step, end },
      scratch,
      dispose: () => {
        dispose();
        this.discard();
      },
    };
  }
}
