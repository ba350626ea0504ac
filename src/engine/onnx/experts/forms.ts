import { placeColumns } from "../../../formats/columns.ts";
import { type ElementType, Graph, Names } from "../../../onnx/graph.ts";
import { type WrittenModel, writeModel } from "../../../onnx/proto.ts";
import type { HostTensor } from "../../../onnx/runtime.ts";
import { columnShapes, type GraphMatrix, product } from "../../../ops/onnx/products.ts";
import { gatedUnit } from "../../../ops/onnx/units.ts";
import type { MoeSpec } from "../../../ops/ops.ts";
import { type ColumnsLayout, PRODUCTS, type ProductName } from "./columns.ts";
import type { ExpertComputer } from "./computer.ts";

/** How a layer's experts are computed, as any thread can make itself ready for it. */
export interface ExpertForm {
  /** Of any tokens with one expert. */
  readonly one: ExpertGraph;
  /** Of one token with several experts, where that is ever needed. */
  readonly several: ExpertGraph | undefined;
}

/** A graph over experts: x `[tokens, hidden]` -> each one's y, the same. */
export interface ExpertGraph {
  readonly model: WrittenModel;
  readonly x: string;
  readonly experts: readonly GraphExpert[];
}

/** An expert of a graph. */
export interface GraphExpert {
  readonly inputs: readonly SlotInput[];
  readonly y: string;
}

/** What the graph is given of an expert's slot. */
export interface SlotInput {
  readonly name: string;
  readonly type: SlotNumbers;
  readonly dims: readonly number[];
  /** From the slot's start. */
  readonly byteOffset: number;
}

/** What slots have numbers of. */
type SlotNumbers = Extract<ElementType, "float32" | "int8">;

/** The forms of a model's layers: those that are laid out alike share theirs. */
export class ExpertForms {
  readonly #computer: ExpertComputer;
  readonly #numbers = new Map<string, Promise<number>>();

  constructor(computer: ExpertComputer) {
    this.#computer = computer;
  }

  /** The number of a layer's form, which is ready then. Throws as `OnnxRuntime.open`. */
  of(layout: ColumnsLayout, spec: MoeSpec): Promise<number> {
    const key = keyOf(layout, spec);
    let number = this.#numbers.get(key);
    if (!number) {
      // Of one token, each thread computes a share at once.
      const share = Math.ceil(spec.topK / this.#computer.threads);
      const form = {
        one: recordExperts(layout, spec, 1),
        several: share > 1 ? recordExperts(layout, spec, share) : undefined,
      };
      number = this.#computer.addForm(form);
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** What decides how experts are computed. */
function keyOf({ pool, shapes }: ColumnsLayout, { activation, topK }: MoeSpec): string {
  const formats = PRODUCTS.map((name) => pool[name].format.name);
  const hasBiases = pool.biases !== undefined;
  return JSON.stringify([formats, shapes.gate, activation, topK, hasBiases, pool.downByColumns]);
}

/** What graphs of a form are given of an expert, from its slot's memory. */
export function slotTensors({ one }: ExpertForm, memory: Uint8Array): HostTensor[] {
  return one.experts[0]!.inputs.map(({ type, dims, byteOffset }) => {
    const start = memory.byteOffset + byteOffset;
    const count = dims.reduce((a, b) => a * b);
    const data =
      type === "int8"
        ? new Int8Array(memory.buffer, start, count)
        : new Float32Array(memory.buffer, start, count);
    return { type, data, dims };
  });
}

/** Records the graph over so many experts that lie in their slots like this. */
export function recordExperts(layout: ColumnsLayout, spec: MoeSpec, count: number): ExpertGraph {
  const graph = new Graph(new Names());
  const { hidden } = spec;
  const x = graph.newName();
  graph.inputs.push({ name: x, type: "float32", dims: ["tokens", hidden] });
  const experts = Array.from({ length: count }, () => {
    const expert = recordExpert(graph, x, layout, spec);
    graph.outputs.push({ name: expert.y, type: "float32", dims: ["tokens", hidden] });
    return expert;
  });
  return { model: writeModel(graph), x, experts };
}

function recordExpert(
  graph: Graph,
  x: string,
  layout: ColumnsLayout,
  { hidden, ffn, activation }: MoeSpec,
): GraphExpert {
  const inputs: SlotInput[] = [];
  const give = (type: SlotNumbers, dims: readonly number[], byteOffset: number) => {
    const name = graph.newName();
    graph.inputs.push({ name, type, dims });
    inputs.push({ name, type, dims, byteOffset });
    return name;
  };
  const times = (input: string, name: ProductName, cols: number) => {
    const y = product(graph, input, giveMatrix(layout, name, give), cols);
    if (!layout.biasOffsets) return y;
    const bias = give("float32", [layout.shapes[name][0]], layout.biasOffsets[name]);
    return graph.node("Add", [y, bias]);
  };
  const gate = times(x, "gate", hidden);
  const up = times(x, "up", hidden);
  return { inputs, y: times(gatedUnit(graph, gate, up, activation), "down", ffn) };
}

function giveMatrix(
  { pool, shapes, offsets }: ColumnsLayout,
  name: ProductName,
  give: (type: SlotNumbers, dims: readonly number[], byteOffset: number) => string,
): GraphMatrix {
  const { format } = pool[name];
  const groupsAlongRows = name === "down" && pool.downByColumns;
  const { matrix, groups } = columnShapes(format, shapes[name], groupsAlongRows);
  const { scales, mins } = placeColumns(format, shapes[name]);
  const at = offsets[name];
  if (scales === undefined) return { kind: "floats", values: give("float32", matrix, at) };
  return {
    kind: "integers",
    quants: give("int8", matrix, at),
    scales: give("float32", groups, at + scales),
    mins: mins === undefined ? undefined : give("float32", groups, at + mins),
    groupWeights: format.integers!.groupWeights,
    groupsAlongRows,
  };
}
