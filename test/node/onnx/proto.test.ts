import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Attribute,
  type ElementType,
  Graph,
  type GraphValue,
  type Initializer,
  Names,
} from "../../../src/onnx/graph.ts";
import { WEIGHTS_FILE, writeModel } from "../../../src/onnx/proto.ts";
import { type Message, readOnnxModel } from "../../helpers/onnx-reader.ts";
import { runs } from "../../helpers/random-cases.ts";

const TYPES: Readonly<Record<ElementType, { number: number; bytes: number }>> = {
  float32: { number: 1, bytes: 4 },
  uint8: { number: 2, bytes: 1 },
  int8: { number: 3, bytes: 1 },
  int32: { number: 6, bytes: 4 },
  int64: { number: 7, bytes: 8 },
  float16: { number: 10, bytes: 2 },
};

/** Numbers of `AttributeProto.AttributeType`. */
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const GRAPH = 5;
const INTS = 7;

const name = fc.string({ minLength: 1, maxLength: 12 });
const type = fc.constantFrom(...(Object.keys(TYPES) as ElementType[]));
const int = fc.oneof(fc.integer({ min: -3, max: 300 }), fc.constant(Number.MAX_SAFE_INTEGER));
const dims = fc.array(fc.integer({ min: 0, max: 14 }), { maxLength: 3 });

/** A tensor's bytes, at any address in their buffer. */
const initializer: fc.Arbitrary<Initializer & { readonly own: Uint8Array }> = fc
  .tuple(name, type, dims, fc.nat())
  .map(([name, type, dims, seed]) => {
    const length = TYPES[type].bytes * dims.reduce((a, b) => a * b, 1);
    const own = new Uint8Array(length + 3).subarray(3).map((_, i) => (seed + 31 * i) & 0xff);
    return { name, type, dims, data: () => own, own };
  });

const value: fc.Arbitrary<GraphValue> = fc.record({
  name,
  type,
  dims: fc.array(fc.oneof(fc.nat(), name), { maxLength: 4 }),
});

const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  int,
  fc.float({ noNaN: true }).map((float) => ({ float })),
  name,
  fc.array(int, { minLength: 1, maxLength: 4 }),
);

const graphOf = (attributes: fc.Arbitrary<Attribute>): fc.Arbitrary<Graph> => {
  const node = fc.record({
    op: name,
    domain: fc.constantFrom("", "com.microsoft"),
    inputs: fc.array(fc.oneof(name, fc.constant("")), { maxLength: 3 }),
    outputs: fc.array(name, { maxLength: 2 }),
    attributes: fc.dictionary(
      name.filter((each) => each !== "__proto__"),
      attributes,
      { maxKeys: 3 },
    ),
  });
  return fc
    .record({
      nodes: fc.array(node, { maxLength: 4 }),
      initializers: fc.array(initializer, { maxLength: 5 }),
      inputs: fc.array(value, { maxLength: 3 }),
      outputs: fc.array(value, { maxLength: 3 }),
    })
    .map((parts) => {
      const graph = new Graph(new Names());
      graph.nodes.push(...parts.nodes);
      graph.initializers.push(...parts.initializers);
      graph.inputs.push(...parts.inputs);
      graph.outputs.push(...parts.outputs);
      return graph;
    });
};

const graph = graphOf(fc.oneof(attribute, graphOf(attribute)));

/** Bytes as a text, which is compared faster. */
function base64({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

/** What a graph must be read as, but for where its tensors lie: those have their bytes. */
function expected({ nodes, initializers, inputs, outputs }: Graph): Message {
  return {
    name: "graph",
    node: nodes.map(({ op, domain, inputs, outputs, attributes }) => ({
      input: inputs,
      output: outputs,
      op_type: op,
      attribute: Object.entries(attributes).map(expectedAttribute),
      ...(domain && { domain }),
    })),
    initializer: initializers.map(({ name, type, dims, data }) => ({
      name,
      data_type: TYPES[type].number,
      dims,
      raw_data: base64(data() as Uint8Array),
    })),
    input: inputs.map(expectedValue),
    output: outputs.map(expectedValue),
  };
}

function expectedAttribute([name, value]: readonly [string, Attribute]): Message {
  const common = { name, ints: [] };
  if (typeof value === "number") return { ...common, type: INT, i: value };
  if (typeof value === "string") return { ...common, type: STRING, s: value };
  if (value instanceof Graph) return { ...common, type: GRAPH, g: expected(value) };
  if ("float" in value) return { ...common, type: FLOAT, f: value.float };
  return { name, type: INTS, ints: value };
}

function expectedValue({ name, type, dims }: GraphValue): Message {
  const dim = dims.map((each) =>
    typeof each === "number" ? { dim_value: each } : { dim_param: each },
  );
  return { name, type: { tensor_type: { elem_type: TYPES[type].number, shape: { dim } } } };
}

interface ReadTensor {
  readonly raw_data?: Uint8Array;
  readonly external_data: readonly { readonly key: string; readonly value: string }[];
}

/** A graph's tensors as they were read, in place of where they lie their bytes; and where those lay beside the model. */
function withData(read: Message, weights: Uint8Array | undefined) {
  const places: { offset: number; length: number }[] = [];
  const resolve = (graph: Message): Message => ({
    ...graph,
    initializer: (graph.initializer as unknown as readonly ReadTensor[]).map((tensor) => {
      const { external_data: entries, raw_data, ...rest } = tensor as ReadTensor & Message;
      if (entries.length === 0) return { ...rest, raw_data: base64(raw_data!) };
      const { location, ...place } = Object.fromEntries(
        entries.map((each) => [each.key, each.value]),
      );
      expect(location).toBe(WEIGHTS_FILE);
      expect(rest.data_location).toBe(1);
      const [offset, length] = [Number(place.offset), Number(place.length)];
      places.push({ offset, length });
      const { data_location: _, ...described } = rest as Record<string, never>;
      return { ...described, raw_data: base64(weights!.subarray(offset, offset + length)) };
    }),
    node: (graph.node as readonly Message[]).map((node) => ({
      ...node,
      attribute: (node.attribute as readonly Message[]).map((each) =>
        each.g ? { ...each, g: resolve(each.g as Message) } : each,
      ),
    })),
  });
  return { graph: resolve(read), places };
}

test("what is written is read again: nodes, attributes, values, and tensors in the model and beside it", () => {
  fc.assert(
    fc.property(graph, (written) => {
      const { model, weights } = writeModel(written);
      const read = readOnnxModel(model);

      const { graph, places } = withData(read.graph as Message, weights);
      expect(graph).toEqual(expected(written));
      expect(read.ir_version).toBe(10);
      expect(read.opset_import).toEqual([
        { domain: "", version: 21 },
        { domain: "com.microsoft", version: 1 },
      ]);
      // Beside the model, tensors lie in order, aligned, and none over another.
      let end = 0;
      for (const { offset, length } of places) {
        expect(offset % 16).toBe(0);
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + length;
      }
      expect(weights?.length ?? 0).toBeGreaterThanOrEqual(end);
    }),
    { numRuns: runs(200) },
  );
});

test("small tensors are in the model, large ones beside it", () => {
  const graph = new Graph(new Names());
  const small = graph.holds("float32", [255], () => new Float32Array(255));
  const large = graph.holds("float32", [256], () => new Float32Array(256).fill(1));

  const { model, weights } = writeModel(graph);

  const { initializer } = readOnnxModel(model).graph as Message;
  expect(
    (initializer as readonly Message[]).map((each) => [each.name, "raw_data" in each]),
  ).toEqual([
    [small, true],
    [large, false],
  ]);
  expect(weights).toEqual(new Uint8Array(new Float32Array(256).fill(1).buffer));
});

test("a tensor whose data has another length than its shape is a bug that is told", () => {
  const graph = new Graph(new Names());
  graph.holds("float32", [1024], () => new Float32Array(1023));

  expect(() => writeModel(graph)).toThrow(/has 4092 bytes/);
});
