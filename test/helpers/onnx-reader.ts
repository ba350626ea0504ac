import { PbfReader } from "pbf";

/** A message: its fields by name; those that may be there several times as lists. */
export type Message = { readonly [field: string]: Field | readonly Field[] };
type Field = number | string | Uint8Array | Message;

type Kind = "int" | "float" | "string" | "bytes" | (() => Schema);
/** The fields of a message by their numbers. */
type Schema = Readonly<Record<number, readonly [name: string, kind: Kind, count?: "many"]>>;

// Source: onnx.proto3 of ONNX 1.16, as far as Sluice writes it.

const ENTRY: Schema = { 1: ["key", "string"], 2: ["value", "string"] };

const TENSOR: Schema = {
  1: ["dims", "int", "many"],
  2: ["data_type", "int"],
  8: ["name", "string"],
  9: ["raw_data", "bytes"],
  13: ["external_data", () => ENTRY, "many"],
  14: ["data_location", "int"],
};

const DIMENSION: Schema = { 1: ["dim_value", "int"], 2: ["dim_param", "string"] };
const SHAPE: Schema = { 1: ["dim", () => DIMENSION, "many"] };
const TENSOR_TYPE: Schema = { 1: ["elem_type", "int"], 2: ["shape", () => SHAPE] };
const TYPE: Schema = { 1: ["tensor_type", () => TENSOR_TYPE] };
const VALUE: Schema = { 1: ["name", "string"], 2: ["type", () => TYPE] };

const ATTRIBUTE: Schema = {
  1: ["name", "string"],
  2: ["f", "float"],
  3: ["i", "int"],
  4: ["s", "string"],
  6: ["g", () => GRAPH],
  8: ["ints", "int", "many"],
  20: ["type", "int"],
};

const NODE: Schema = {
  1: ["input", "string", "many"],
  2: ["output", "string", "many"],
  4: ["op_type", "string"],
  5: ["attribute", () => ATTRIBUTE, "many"],
  7: ["domain", "string"],
};

const GRAPH: Schema = {
  1: ["node", () => NODE, "many"],
  2: ["name", "string"],
  5: ["initializer", () => TENSOR, "many"],
  11: ["input", () => VALUE, "many"],
  12: ["output", () => VALUE, "many"],
};

const OPSET: Schema = { 1: ["domain", "string"], 2: ["version", "int"] };

const MODEL: Schema = {
  1: ["ir_version", "int"],
  7: ["graph", () => GRAPH],
  8: ["opset_import", () => OPSET, "many"],
};

/** Reads an ONNX model, by the names of onnx.proto3. Throws for a field that is not in the schema. */
export function readOnnxModel(bytes: Uint8Array): Message {
  return readFields(new PbfReader(bytes), MODEL, bytes.length);
}

function readFields(pbf: PbfReader, schema: Schema, end: number): Message {
  const message: Record<string, Field | Field[]> = {};
  for (const [name, , count] of Object.values(schema)) if (count === "many") message[name] = [];
  pbf.readFields(
    (tag) => {
      const field = schema[tag];
      if (!field) throw new Error(`a message has a field ${tag}, which is not in its schema`);
      const [name, kind, count] = field;
      const value = readField(pbf, kind);
      if (count === "many") (message[name] as Field[]).push(value);
      else message[name] = value;
    },
    message,
    end,
  );
  return message;
}

function readField(pbf: PbfReader, kind: Kind): Field {
  if (kind === "int") return pbf.readVarint(true);
  if (kind === "float") return pbf.readFloat();
  if (kind === "string") return pbf.readString();
  if (kind === "bytes") return pbf.readBytes().slice();
  const length = pbf.readVarint();
  return readFields(pbf, kind(), pbf.pos + length);
}
