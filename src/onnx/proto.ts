import { PbfWriter } from "pbf";
import {
  type Attribute,
  type ElementType,
  Graph,
  type GraphNode,
  type GraphValue,
  type Initializer,
  MICROSOFT,
} from "./graph.ts";

/** Numbers of element types in `TensorProto.DataType`. */
const ELEMENT_TYPES: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  float16: 10,
};

/** Numbers of attribute types in `AttributeProto.AttributeType`. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const;

/** `TensorProto.DataLocation`: the data lies beside the model. */
const EXTERNAL = 1;

/** Tensors from this size on lie beside the model, so that they are not copied with it. */
const EXTERNAL_BYTES = 1024;
/** Where such a tensor may start. */
const ALIGNMENT = 16;

/** Versions of the format and of ONNX's operators. */
const IR_VERSION = 10;
const OPSET = 21;

/** A model as onnxruntime takes it: the graph, and beside it what it holds. */
export interface WrittenModel {
  readonly model: Uint8Array;
  /** Under the name {@link WEIGHTS_FILE}; undefined where there is nothing large. */
  readonly weights: Uint8Array<ArrayBuffer> | undefined;
}

/** The name by which a model refers to what lies beside it. */
export const WEIGHTS_FILE = "weights";

/**
 * Writes a graph as an ONNX model.
 * Source: onnx.proto3 of ONNX 1.16.
 */
export function writeModel(graph: Graph): WrittenModel {
  const placed = placeInitializers(graph.initializers);
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, IR_VERSION);
  pbf.writeMessage(7, writeGraph, { graph, placed: placed.tensors });
  pbf.writeMessage(8, writeOpset, { domain: "", version: OPSET });
  pbf.writeMessage(8, writeOpset, { domain: MICROSOFT, version: 1 });
  return { model: pbf.finish(), weights: placed.weights };
}

/** A tensor with its data at hand, or where it lies in the file beside. */
interface PlacedTensor extends Omit<Initializer, "data"> {
  readonly bytes: Uint8Array | undefined;
  readonly byteOffset: number;
  readonly byteLength: number;
}

function placeInitializers(initializers: readonly Initializer[]): {
  readonly tensors: readonly PlacedTensor[];
  readonly weights: Uint8Array<ArrayBuffer> | undefined;
} {
  let end = 0;
  const tensors = initializers.map(({ name, type, dims, data }) => {
    const byteLength = ELEMENT_BYTES[type] * dims.reduce((a, b) => a * b, 1);
    if (byteLength < EXTERNAL_BYTES) {
      return { name, type, dims, bytes: bytesOf(data()), byteOffset: 0, byteLength };
    }
    const byteOffset = end;
    end = Math.ceil((end + byteLength) / ALIGNMENT) * ALIGNMENT;
    return { name, type, dims, bytes: undefined, byteOffset, byteLength };
  });
  if (end === 0) return { tensors, weights: undefined };
  const weights = new Uint8Array(end);
  for (const [index, { bytes, byteOffset, name, byteLength }] of tensors.entries()) {
    if (bytes) continue;
    const own = bytesOf(initializers[index]!.data());
    if (own.length !== byteLength) throw new Error(`unreachable: ${name} has ${own.length} bytes`);
    weights.set(own, byteOffset);
  }
  return { tensors, weights };
}

const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  float16: 2,
};

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function writeGraph(
  { graph, placed }: { readonly graph: Graph; readonly placed: readonly PlacedTensor[] },
  pbf: PbfWriter,
): void {
  for (const node of graph.nodes) pbf.writeMessage(1, writeNode, node);
  pbf.writeStringField(2, "graph");
  for (const tensor of placed) pbf.writeMessage(5, writeTensor, tensor);
  for (const value of graph.inputs) pbf.writeMessage(11, writeValue, value);
  for (const value of graph.outputs) pbf.writeMessage(12, writeValue, value);
}

function writeNode(node: GraphNode, pbf: PbfWriter): void {
  for (const input of node.inputs) pbf.writeStringField(1, input);
  for (const output of node.outputs) pbf.writeStringField(2, output);
  pbf.writeStringField(4, node.op);
  for (const attribute of Object.entries(node.attributes)) {
    pbf.writeMessage(5, writeAttribute, attribute);
  }
  if (node.domain) pbf.writeStringField(7, node.domain);
}

function writeAttribute([name, value]: readonly [string, Attribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  const type = writeAttributeValue(value, pbf);
  pbf.writeVarintField(20, ATTRIBUTE_TYPES[type]);
}

function writeAttributeValue(value: Attribute, pbf: PbfWriter): keyof typeof ATTRIBUTE_TYPES {
  if (typeof value === "number") {
    pbf.writeVarintField(3, value);
    return "int";
  }
  if (typeof value === "string") {
    pbf.writeStringField(4, value);
    return "string";
  }
  if (value instanceof Graph) {
    // What such a graph holds is small, or given to it by the one around it.
    const placed = value.initializers.map(({ data, ...tensor }) => {
      const bytes = bytesOf(data());
      return { ...tensor, bytes, byteOffset: 0, byteLength: bytes.length };
    });
    pbf.writeMessage(6, writeGraph, { graph: value, placed });
    return "graph";
  }
  if ("float" in value) {
    pbf.writeFloatField(2, value.float);
    return "float";
  }
  for (const each of value) pbf.writeVarintField(8, each);
  return "ints";
}

function writeTensor(
  { name, type, dims, bytes, byteOffset, byteLength }: PlacedTensor,
  pbf: PbfWriter,
): void {
  for (const dim of dims) pbf.writeVarintField(1, dim);
  pbf.writeVarintField(2, ELEMENT_TYPES[type]);
  pbf.writeStringField(8, name);
  if (bytes) {
    pbf.writeBytesField(9, bytes);
    return;
  }
  const place = { location: WEIGHTS_FILE, offset: `${byteOffset}`, length: `${byteLength}` };
  for (const entry of Object.entries(place)) pbf.writeMessage(13, writeStringEntry, entry);
  pbf.writeVarintField(14, EXTERNAL);
}

function writeStringEntry([key, value]: readonly [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}

function writeValue({ name, type, dims }: GraphValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, writeType, { type, dims });
}

function writeType(value: Omit<GraphValue, "name">, pbf: PbfWriter): void {
  pbf.writeMessage(1, writeTensorType, value);
}

function writeTensorType({ type, dims }: Omit<GraphValue, "name">, pbf: PbfWriter): void {
  pbf.writeVarintField(1, ELEMENT_TYPES[type]);
  pbf.writeMessage(2, writeShape, dims);
}

function writeShape(dims: GraphValue["dims"], pbf: PbfWriter): void {
  for (const dim of dims) pbf.writeMessage(1, writeDim, dim);
}

function writeDim(dim: number | string, pbf: PbfWriter): void {
  if (typeof dim === "number") pbf.writeVarintField(1, dim);
  else pbf.writeStringField(2, dim);
}

function writeOpset(
  { domain, version }: { readonly domain: string; readonly version: number },
  pbf: PbfWriter,
): void {
  pbf.writeStringField(1, domain);
  pbf.writeVarintField(2, version);
}
