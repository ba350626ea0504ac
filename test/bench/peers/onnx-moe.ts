import { PbfWriter } from "pbf";
import { BLOCK, type MoeWeights, type QuantMatrix } from "./moe-weights.ts";

/** Numbers of ONNX's element types. */
const FLOAT = 1;
const UINT8 = 2;
/** Numbers of attribute types. */
const ATTRIBUTE = { float: 1, int: 2, text: 3 } as const;
/** Versions that onnxruntime-web 1.30 reads. */
const IR_VERSION = 8;
const OPSET = 17;

/** Names of the graph's ends. */
export const GRAPH_INPUT = "x";
export const GRAPH_OUTPUT = "y";

interface Attribute {
  readonly name: string;
  readonly value: number | string;
  readonly type: keyof typeof ATTRIBUTE;
}

interface Initializer {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

/**
 * An ONNX model of one MoE layer: a product with the router, then `com.microsoft.QMoE` in 4 bits. Gate and up are one
 * matrix whose rows take turns, which is the one fusion that its WebGPU kernels compute right.
 */
export function moeOnnx({ shape, router, experts }: MoeWeights): Uint8Array {
  const { hidden, ffn, topK } = shape;
  const count = shape.experts;
  const first = experts.map(({ gate, up }) => interleaved(gate, up));
  const second = experts.map(({ down }) => down);
  const initializers: Initializer[] = [
    { name: "router", type: FLOAT, dims: [hidden, count], data: bytes(transposed(router, hidden)) },
    { name: "w1", type: UINT8, dims: [count, 2 * ffn, hidden / 2], data: nibbles(first) },
    { name: "s1", type: FLOAT, dims: [count, 2 * ffn, hidden / BLOCK], data: scales(first) },
    { name: "w2", type: UINT8, dims: [count, hidden, ffn / 2], data: nibbles(second) },
    { name: "s2", type: FLOAT, dims: [count, hidden, ffn / BLOCK], data: scales(second) },
  ];
  const attributes: Attribute[] = [
    { name: "k", type: "int", value: topK },
    { name: "activation_type", type: "text", value: "swiglu" },
    { name: "activation_alpha", type: "float", value: 1 },
    { name: "activation_beta", type: "float", value: 0 },
    { name: "normalize_routing_weights", type: "int", value: 1 },
    { name: "expert_weight_bits", type: "int", value: 4 },
    { name: "block_size", type: "int", value: BLOCK },
    { name: "swiglu_fusion", type: "int", value: 1 },
  ];
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, IR_VERSION);
  pbf.writeMessage(7, writeGraph, { hidden, initializers, attributes });
  pbf.writeMessage(8, writeOpset, { domain: "", version: OPSET });
  pbf.writeMessage(8, writeOpset, { domain: "com.microsoft", version: 1 });
  return pbf.finish();
}

interface Graph {
  readonly hidden: number;
  readonly initializers: readonly Initializer[];
  readonly attributes: readonly Attribute[];
}

function writeGraph({ hidden, initializers, attributes }: Graph, pbf: PbfWriter): void {
  pbf.writeMessage(1, writeNode, {
    op: "MatMul",
    domain: "",
    inputs: [GRAPH_INPUT, "router"],
    output: "logits",
    attributes: [],
  });
  pbf.writeMessage(1, writeNode, {
    op: "QMoE",
    domain: "com.microsoft",
    // An input without a name is one that is not there: the biases.
    inputs: [GRAPH_INPUT, "logits", "w1", "s1", "", "w2", "s2", ""],
    output: GRAPH_OUTPUT,
    attributes,
  });
  pbf.writeStringField(2, "moe");
  for (const initializer of initializers) pbf.writeMessage(5, writeTensor, initializer);
  pbf.writeMessage(11, writeValue, { name: GRAPH_INPUT, width: hidden });
  pbf.writeMessage(12, writeValue, { name: GRAPH_OUTPUT, width: hidden });
}

interface Node {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: readonly Attribute[];
}

function writeNode({ op, domain, inputs, output, attributes }: Node, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input);
  pbf.writeStringField(2, output);
  pbf.writeStringField(3, op);
  pbf.writeStringField(4, op);
  for (const attribute of attributes) pbf.writeMessage(5, writeAttribute, attribute);
  pbf.writeStringField(7, domain);
}

function writeAttribute({ name, type, value }: Attribute, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if (type === "float") pbf.writeFloatField(2, Number(value));
  else if (type === "int") pbf.writeVarintField(3, Number(value));
  else pbf.writeStringField(4, String(value));
  pbf.writeVarintField(20, ATTRIBUTE[type]);
}

function writeTensor({ name, type, dims, data }: Initializer, pbf: PbfWriter): void {
  for (const dim of dims) pbf.writeVarintField(1, dim);
  pbf.writeVarintField(2, type);
  pbf.writeStringField(8, name);
  pbf.writeBytesField(9, data);
}

/** `[tokens, width]` f32, for any number of tokens. */
function writeValue(
  value: { readonly name: string; readonly width: number },
  pbf: PbfWriter,
): void {
  pbf.writeStringField(1, value.name);
  pbf.writeMessage(2, writeType, value.width);
}

function writeType(width: number, pbf: PbfWriter): void {
  pbf.writeMessage(1, writeTensorType, width);
}

function writeTensorType(width: number, pbf: PbfWriter): void {
  pbf.writeVarintField(1, FLOAT);
  pbf.writeMessage(2, writeShape, width);
}

function writeShape(width: number, pbf: PbfWriter): void {
  pbf.writeMessage(1, (name: string, dim) => dim.writeStringField(2, name), "tokens");
  pbf.writeMessage(1, (length: number, dim) => dim.writeVarintField(1, length), width);
}

function writeOpset(
  { domain, version }: { readonly domain: string; readonly version: number },
  pbf: PbfWriter,
): void {
  pbf.writeStringField(1, domain);
  pbf.writeVarintField(2, version);
}

/** Rows of `a` and `b` in turn. */
function interleaved(a: QuantMatrix, b: QuantMatrix): QuantMatrix {
  const { rows, cols } = a;
  const quants = new Uint8Array(2 * rows * cols);
  const blocks = cols / BLOCK;
  const scales = new Float32Array(2 * rows * blocks);
  for (const [turn, matrix] of [a, b].entries()) {
    for (let row = 0; row < rows; row++) {
      const to = 2 * row + turn;
      quants.set(matrix.quants.subarray(row * cols, (row + 1) * cols), to * cols);
      scales.set(matrix.scales.subarray(row * blocks, (row + 1) * blocks), to * blocks);
    }
  }
  return { rows: 2 * rows, cols, quants, scales };
}

/** Two neighbours a byte, the first in the lower half. */
function nibbles(matrices: readonly QuantMatrix[]): Uint8Array {
  return joined(
    matrices.map(({ quants }) =>
      Uint8Array.from(
        { length: quants.length / 2 },
        (_, i) => quants[2 * i]! | (quants[2 * i + 1]! << 4),
      ),
    ),
  );
}

function scales(matrices: readonly QuantMatrix[]): Uint8Array {
  return joined(matrices.map((matrix) => bytes(matrix.scales)));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function bytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** `[rows, cols]` as `[cols, rows]`. */
function transposed(matrix: Float32Array, cols: number): Float32Array {
  const rows = matrix.length / cols;
  return new Float32Array(matrix.length).map(
    (_, index) => matrix[(index % rows) * cols + Math.floor(index / rows)]!,
  );
}
