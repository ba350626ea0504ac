import type { CacheFormat } from "../formats/cache/format.ts";
import { checkLeast, checkWidth } from "./checks.ts";
import { capped, recordAttention, recordLatentAttention } from "./onnx/attention.ts";
import type { OnnxProgram } from "./onnx/program.ts";
import { OnnxRecording, type OnnxTensor } from "./onnx/recording.ts";
import { recordMamba2, recordShortConv } from "./onnx/recurrent.ts";
import { gatedUnit } from "./onnx/units.ts";
import type { OnnxWeights } from "./onnx/weights.ts";
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
  Routing,
} from "./ops.ts";
import type { Mamba2Spec, ShortConvSpec } from "./recurrent.ts";

/** What a router chose, once the host has asked it. */
export interface OnnxRouting extends Routing {
  readonly moe: number;
}

/** What a forward pass is recorded with. */
export interface OnnxRecordOptions {
  readonly weights: OnnxWeights;
  /** The layers that the pass has, in order. */
  readonly moe: readonly MoeSpec[];
  readonly kvCache: CacheFormat;
  /** Also runs each layer's router on what the layer before reads, as a guess. */
  readonly guesses: boolean;
}

/**
 * Records a model's forward pass as graphs of ONNX operators, for passes of any number of tokens. A graph ends where
 * the host acts: it keeps keys and values, chooses experts by routers' logits, and has experts computed one by one, with
 * weights from the expert cache. `finish` gives the program.
 */
export class OnnxOps implements Ops<OnnxTensor, OnnxRouting> {
  readonly #recording: OnnxRecording;
  readonly #options: OnnxRecordOptions;
  #logits: OnnxTensor | undefined;

  constructor(options: OnnxRecordOptions) {
    this.#options = options;
    this.#recording = new OnnxRecording(options.weights);
  }

  embed(table: string, { scale = 1 }: { scale?: number } = {}): OnnxTensor {
    const { cols } = this.#options.weights.matrix(table);
    const y = this.#recording.hostTensor(cols);
    this.#recording.cut({ kind: "embed", table, scale, width: cols, to: y.name });
    return y;
  }

  rmsNorm(
    x: OnnxTensor,
    weight: string,
    epsilon: number,
    { residual, scale }: NormOptions<OnnxTensor> = {},
  ): OnnxTensor {
    const recording = this.#recording;
    const { graph } = recording;
    let y = recording.rmsNormed(recording.use(x), recording.vector(weight, x.width), epsilon);
    if (residual) y = graph.node("Add", [y, recording.use(residual)]);
    if (scale !== undefined) y = graph.node("Mul", [y, recording.vector(scale, 1)]);
    return recording.tensor(y, x.width, x.rows);
  }

  layerNorm(
    x: OnnxTensor,
    weightName: string,
    biasName: string,
    { epsilon, centred = true }: LayerNormOptions,
  ): OnnxTensor {
    const recording = this.#recording;
    const { graph } = recording;
    const weight = recording.vector(weightName, x.width);
    const bias = recording.vector(biasName, x.width);
    const y = centred
      ? graph.node("LayerNormalization", [recording.use(x), weight, bias], {
          axis: -1,
          epsilon: { float: epsilon },
        })
      : graph.node("Add", [recording.rmsNormed(recording.use(x), weight, epsilon), bias]);
    return recording.tensor(y, x.width, x.rows);
  }

  concat(a: OnnxTensor, b: OnnxTensor): OnnxTensor {
    const recording = this.#recording;
    const inputs = [recording.use(a), recording.use(b)];
    const y = recording.graph.node("Concat", inputs, { axis: 1 });
    return recording.tensor(y, a.width + b.width, a.rows);
  }

  add(a: OnnxTensor, b: OnnxTensor, { gate }: { gate?: OnnxTensor } = {}): OnnxTensor {
    const recording = this.#recording;
    const { graph } = recording;
    checkWidth("b of a sum", b.width, a.width);
    if (gate) checkWidth("the gate of a sum", gate.width, 1);
    let added = recording.use(b);
    if (gate) {
      added = graph.node("Mul", [graph.node("Sigmoid", [recording.use(gate)]), added]);
    }
    return recording.tensor(graph.node("Add", [recording.use(a), added]), a.width, a.rows);
  }

  linear(
    x: OnnxTensor,
    weight: string,
    { bias, scale = 1, residual }: LinearOptions<OnnxTensor> = {},
  ): OnnxTensor {
    const recording = this.#recording;
    const { graph } = recording;
    const { rows, cols } = this.#options.weights.matrix(weight);
    checkWidth(weight, x.width, cols);
    let y = recording.product(recording.use(x), weight, cols);
    if (bias !== undefined) y = graph.node("Add", [y, recording.vector(bias, rows)]);
    if (scale !== 1) y = graph.node("Mul", [y, graph.scalar(scale)]);
    if (residual) {
      checkWidth(weight, residual.width, rows);
      y = graph.node("Add", [y, recording.use(residual)]);
    }
    return recording.tensor(y, rows, x.rows);
  }

  attention(q: OnnxTensor, k: OnnxTensor, v: OnnxTensor, spec: AttentionSpec): OnnxTensor {
    return recordAttention(this.#recording, { q, k, v }, spec, this.#options.kvCache);
  }

  latentAttention(inputs: LatentInputs<OnnxTensor>, spec: LatentAttentionSpec): OnnxTensor {
    return recordLatentAttention(this.#recording, inputs, spec, this.#options.kvCache);
  }

  shortConv(x: OnnxTensor, spec: ShortConvSpec): OnnxTensor {
    return recordShortConv(this.#recording, x, spec);
  }

  mamba2(x: OnnxTensor, spec: Mamba2Spec): OnnxTensor {
    return recordMamba2(this.#recording, x, spec);
  }

  headLinear(
    x: OnnxTensor,
    name: string,
    { heads, rows, transposed = false }: HeadLinearOptions,
  ): OnnxTensor {
    const recording = this.#recording;
    const { graph } = recording;
    const { weights } = this.#options;
    const matrix = weights.matrix(name);
    const { cols } = matrix;
    const headRows = matrix.rows / heads;
    const { first, count } = rows ?? { first: 0, count: headRows };
    const [inWidth, outWidth] = transposed ? [count, cols] : [cols, count];
    const share = x.width / heads;
    checkLeast(name, share, inWidth);
    const ofHeads = () => {
      const decoded = weights.rowsOf(name);
      const taken = new Float32Array(heads * count * cols);
      for (let head = 0; head < heads; head++) {
        const start = (head * headRows + first) * cols;
        taken.set(decoded.subarray(start, start + count * cols), head * count * cols);
      }
      return taken;
    };
    const weight = graph.holds("float32", [heads, count, cols], ofHeads);
    const split = graph.node("Reshape", [recording.use(x), graph.integers(-1, heads, share)]);
    const own =
      share === inWidth
        ? split
        : graph.node("Slice", [
            split,
            graph.integers(0),
            graph.integers(inWidth),
            graph.integers(2),
          ]);
    const headsFirst = graph.node("Transpose", [own], { perm: [1, 0, 2] });
    const products = transposed
      ? graph.node("MatMul", [headsFirst, weight])
      : recording.transposedProduct(headsFirst, weight);
    const tokensFirst = graph.node("Transpose", [products], { perm: [1, 0, 2] });
    const y = graph.node("Reshape", [tokensFirst, graph.integers(-1, heads * outWidth)]);
    return recording.tensor(y, heads * outWidth, x.rows);
  }

  softcap(x: OnnxTensor, cap: number): OnnxTensor {
    const recording = this.#recording;
    return recording.tensor(capped(recording, recording.use(x), cap), x.width, x.rows);
  }

  gatedUnit(gate: OnnxTensor, up: OnnxTensor, activation: ActivationName): OnnxTensor {
    const recording = this.#recording;
    checkWidth("gatedUnit", up.width, gate.width);
    const inputs = [recording.use(gate), recording.use(up)] as const;
    const y = gatedUnit(recording.graph, ...inputs, activation);
    return recording.tensor(y, gate.width, gate.rows);
  }

  route(x: OnnxTensor, spec: MoeSpec): OnnxRouting {
    const recording = this.#recording;
    const moe = this.#options.moe.indexOf(spec);
    const logits = recording.read(this.#routerLogits(x, spec));
    const step = { kind: "choose", moe, logits } as const;
    // A choice that is known long before its experts' turn is read at once, for what it names to be brought meanwhile.
    if (spec.routerInput === "post-attention") recording.later(step);
    else recording.cut(step);
    return { moe, topK: spec.topK };
  }

  routeByToken(spec: MoeSpec): OnnxRouting {
    const moe = this.#options.moe.indexOf(spec);
    this.#recording.cut({ kind: "choose", moe, logits: undefined });
    return { moe, topK: spec.topK };
  }

  experts(
    x: OnnxTensor,
    { moe }: OnnxRouting,
    spec: MoeSpec,
    { residual }: { residual?: OnnxTensor } = {},
  ): OnnxTensor {
    const recording = this.#recording;
    checkWidth(spec.gate, x.width, spec.hidden);
    if (residual) checkWidth(spec.gate, residual.width, spec.hidden);
    const y = recording.hostTensor(spec.hidden);
    const next = this.#options.moe[moe + 1];
    const guess =
      this.#options.guesses && next && next.routerInput !== "token"
        ? recording.read(this.#routerLogits(x, next))
        : undefined;
    recording.cut({
      kind: "experts",
      moe,
      x: recording.read(x),
      residual: residual && recording.read(residual),
      to: y.name,
      guess,
    });
    return y;
  }

  lastToken(x: OnnxTensor): OnnxTensor {
    const recording = this.#recording;
    const rows = recording.input({ kind: "rows" }, "int64", ["rows"]);
    const y = recording.graph.node("Gather", [recording.use(x), rows], { axis: 0 });
    return recording.tensor(y, x.width, "rows");
  }

  logits(x: OnnxTensor): void {
    this.#logits = x;
  }

  /** Ends the recording. */
  finish(): OnnxProgram {
    if (!this.#logits) throw new Error("unreachable: the forward pass ended without logits");
    return this.#recording.finish(this.#options.moe, this.#logits);
  }

  #routerLogits(x: OnnxTensor, spec: MoeSpec): OnnxTensor {
    const { router, routerBias, logitScale: scale = 1 } = spec;
    return this.linear(x, router, { ...(routerBias !== undefined && { bias: routerBias }), scale });
  }
}
