import { gateUp } from "../../kernels/gate_up.ts";
import { gatedUnit } from "../../kernels/gated_unit.ts";
import { matmul } from "../../kernels/matmul.ts";
import { matvec, NO_VECTOR } from "../../kernels/matvec.ts";
import { activationParts, matricesParts, rowDotsConstants } from "../../kernels/parts.ts";
import { checkMultiple, checkWidth } from "../checks.ts";
import type { GpuMatrix, GpuMatrixPart } from "../gpu-resources.ts";
import type { ActivationName, LinearOptions } from "../ops.ts";
import { lazyTensor, type PendingLinear, pendingOf } from "./lazy.ts";
import { areAlike, loaderOf, productInput, rowDotsOf } from "./product-input.ts";
import { type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";

/** `Ops.linear`. */
export function recordLinear(
  recording: Recording,
  x: GpuTensor,
  weight: string,
  options: LinearOptions<GpuTensor>,
): GpuTensor {
  const { rows, cols } = recording.gpu.matrix(weight);
  checkWidth(weight, x.width, cols);
  checkMultiple(`cols of ${weight}`, cols, UNIT_WEIGHTS);
  if (options.residual) checkWidth(weight, options.residual.width, rows);
  if (options.bias !== undefined) recording.gpu.vector(options.bias, rows);
  return lazyTensor({ width: rows, single: x.single }, { kind: "linear", x, weight, options }, () =>
    recordProduct(recording, { kind: "linear", x, weight, options }),
  );
}

/** Records a product by itself; a matrix in several buffers takes a dispatch for each. */
function recordProduct(
  recording: Recording,
  { x, weight, options: { bias, scale = 1, residual } }: PendingLinear,
): GpuTensor {
  const { gpu, recorder, maxTokens } = recording;
  const { rows, cols, format, parts } = gpu.matrix(weight);
  const input = productInput(recording, x, format);
  const rest = residual?.scratch;
  const names = bias === undefined ? input.vectors : [...input.vectors, bias];
  const biasFirst = bias === undefined ? NO_VECTOR : input.vectors.length * cols;
  const y = recording.tensor(rows, x.single);
  const buffers = {
    x: input.scratch,
    // What is not there is not read: any buffer does that is only read.
    vectors: names.length > 0 ? gpu.vectors(...names) : input.scratch,
    residual: rest ?? input.scratch,
    y: y.scratch,
  };
  const shared = {
    cols,
    all_rows: rows,
    has_residual: rest ? 1 : 0,
    scale,
    epsilon: input.epsilon,
  };
  const single = x.single || maxTokens === 1;
  for (const part of parts) {
    const from = { buffers, weights: part.buffer, single };
    const partBias = bias === undefined ? NO_VECTOR : biasFirst + part.firstRow;
    if (single) {
      const { matrix } = gpu.variant;
      recorder.dispatch(matvec, {
        ...from,
        params: { ...shared, ...matrixParams([part], [partBias]), first_row: part.firstRow },
        parts: [...rowDotsOf(input, format, "a"), matricesParts[0], ...input.parts, matrix.reduce],
        constants: rowDotsConstants(matrix),
      });
    } else {
      const { batch } = gpu.variant;
      recorder.dispatch(matmul, {
        ...from,
        params: { ...shared, rows: part.rows, bias: partBias, first_row: part.firstRow },
        parts: [...loaderOf(input, format), ...input.parts, batch.reduce],
        constants: batch.constants,
      });
    }
  }
  return y;
}

/** Matvec's params of its matrices; what is not there has no rows. */
function matrixParams(parts: readonly GpuMatrixPart[], biases: readonly number[]) {
  const rows = (index: number) => parts[index]?.rows ?? 0;
  const bias = (index: number) => biases[index] ?? NO_VECTOR;
  return {
    rows_a: rows(0),
    rows_b: rows(1),
    rows_c: rows(2),
    bias_a: bias(0),
    bias_b: bias(1),
    bias_c: bias(2),
  };
}

/** What the matrices of a matvec are called, each in a buffer of its own. */
const MATRIX_NAMES = ["a", "b", "c"] as const;

/**
 * Products with one input, side by side in one tensor, in one dispatch; undefined where they can't be: when the pass has
 * several tokens, or one of them is computed already, reads something else, is more than a product and a bias, or is one
 * of integers when others are not.
 */
export function recordSideBySide(
  recording: Recording,
  tensors: readonly GpuTensor[],
): GpuTensor | undefined {
  const { gpu, recorder, maxTokens } = recording;
  const x = pendingOf(tensors[0], "linear")?.x;
  if (maxTokens !== 1 || !x || new Set(tensors).size < tensors.length) return undefined;
  const products = tensors.map((tensor) => pendingOf(tensor, "linear"));
  if (!products.every((product) => product?.x === x && isPlain(product))) return undefined;
  const matrices = products.map((product) => gpu.matrix(product!.weight));
  const formats = matrices.map(({ format }) => format);
  if (!matrices.every(isWhole) || !areAlike(gpu, formats)) return undefined;

  const input = productInput(recording, x, ...formats);
  const names = [...input.vectors];
  let next = input.vectors.length * x.width;
  const biases = products.map((product, index) => {
    const { bias } = product!.options;
    if (bias === undefined) return NO_VECTOR;
    names.push(bias);
    const first = next;
    next += matrices[index]!.rows;
    return first;
  });
  const width = matrices.reduce((sum, { rows }) => sum + rows, 0);
  const y = recording.tensor(width);
  const { matrix } = gpu.variant;
  recorder.dispatch(matvec, {
    params: {
      ...matrixParams(
        matrices.map(({ parts }) => parts[0]!),
        biases,
      ),
      cols: x.width,
      first_row: 0,
      all_rows: width,
      has_residual: 0,
      scale: 1,
      epsilon: input.epsilon,
    },
    buffers: {
      x: input.scratch,
      vectors: names.length > 0 ? gpu.vectors(...names) : input.scratch,
      residual: input.scratch,
      y: y.scratch,
    },
    weights: matrices.map(({ parts }) => parts[0]!.buffer),
    parts: [
      ...formats.flatMap((format, binding) =>
        rowDotsOf(input, format, MATRIX_NAMES[binding]!, binding),
      ),
      matricesParts[matrices.length - 1]!,
      ...input.parts,
      matrix.reduce,
    ],
    constants: rowDotsConstants(matrix),
  });
  return y;
}

/** Whether a matrix lies in one buffer. */
export function isWhole({ parts }: GpuMatrix): boolean {
  return parts.length === 1;
}

/** Whether a product has but a bias. */
export function isPlain(product: PendingLinear): boolean {
  const { scale = 1, residual } = product.options;
  return scale === 1 && residual === undefined;
}

/** A gate and an up product of one input, with nothing done to them, each of a matrix in one buffer. */
export interface GatePair {
  readonly x: GpuTensor;
  readonly gate: GpuMatrix;
  readonly up: GpuMatrix;
}

/** What `gate` and `up` are products of, if nobody has computed them and one kernel may. */
export function gatePairOf(
  { gpu }: Recording,
  gate: GpuTensor,
  up: GpuTensor,
): GatePair | undefined {
  const pair = [pendingOf(gate, "linear"), pendingOf(up, "linear")];
  const x = pair[0]?.x;
  const isBare = (product: PendingLinear | undefined) =>
    product !== undefined && isPlain(product) && product.options.bias === undefined;
  if (!x || pair[1]?.x !== x || gate === up || !pair.every(isBare)) return undefined;
  const [ofGate, ofUp] = pair.map((product) => gpu.matrix(product!.weight)) as [
    GpuMatrix,
    GpuMatrix,
  ];
  const fit = isWhole(ofGate) && isWhole(ofUp) && areAlike(gpu, [ofGate.format, ofUp.format]);
  return fit ? { x, gate: ofGate, up: ofUp } : undefined;
}

/** `Ops.gatedUnit`. */
export function recordGatedUnit(
  recording: Recording,
  gate: GpuTensor,
  up: GpuTensor,
  activation: ActivationName,
): GpuTensor {
  checkWidth("up", up.width, gate.width);
  return lazyTensor(gate, { kind: "gated-unit", gate, up, activation }, () => {
    const pair = recording.maxTokens === 1 ? gatePairOf(recording, gate, up) : undefined;
    if (pair) return recordGateUp(recording, pair, activation);
    const [ofGate, ofUp] = [gate.scratch, up.scratch];
    const y = recording.tensor(gate.width, gate.single);
    recording.recorder.dispatch(gatedUnit, {
      params: { width: gate.width },
      buffers: { gate: ofGate, up: ofUp, y: y.scratch },
      parts: [activationParts[activation]],
      single: gate.single,
    });
    return y;
  });
}

function recordGateUp(
  recording: Recording,
  { x, gate, up }: GatePair,
  activation: ActivationName,
): GpuTensor {
  const { gpu, recorder } = recording;
  const input = productInput(recording, x, gate.format, up.format);
  const y = recording.tensor(gate.rows);
  const { matrix } = gpu.variant;
  recorder.dispatch(gateUp, {
    params: { rows: gate.rows, cols: gate.cols, epsilon: input.epsilon },
    buffers: {
      x: input.scratch,
      vectors: input.vectors.length > 0 ? gpu.vectors(...input.vectors) : input.scratch,
      y: y.scratch,
    },
    weights: [gate.parts[0]!.buffer, up.parts[0]!.buffer],
    parts: [
      ...rowDotsOf(input, gate.format, "gate"),
      ...rowDotsOf(input, up.format, "up", 1),
      ...input.parts,
      activationParts[activation],
      matrix.reduce,
    ],
    constants: rowDotsConstants(matrix),
  });
  return y;
}
