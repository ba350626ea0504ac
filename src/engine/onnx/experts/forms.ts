import { placeColumns } from "../../../formats/columns.ts";
import { type ElementType, Graph, Names } from "../../../onnx/graph.ts";
import { type WrittenModel, writeModel } from "../../../onnx/proto.ts";
import type { HostTensor } from "../../../onnx/runtime.ts";
import { columnShapes, type GraphMatrix, product } from "../../../ops/onnx/products.ts";
import { gatedUnit } from "../../../ops/onnx/units.ts";
import type { MoeSpec } from "../../../ops/ops.ts";
import { type ColumnsLayout, PRODUCTS, type ProductName } from "./columns.ts";
import type { ExpertComputer } from "./computer.ts";

/** A graph that computes any tokens with one expert, as any thread can make it ready: x `[tokens, hidden]` -> y. */
export interface ExpertForm {
  readonly model: WrittenModel;
  readonly x: string;
  readonly y: string;
  readonly inputs: readonly SlotInput[];
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
      number = this.#computer.addForm(recordForm(layout, spec));
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** What decides how experts are computed. */
function keyOf({ pool, shapes }: ColumnsLayout, { activation }: MoeSpec): string {
  const formats = PRODUCTS.map((name) => pool[name].format.name);
  const hasBiases = pool.biases !== undefined;
  return JSON.stringify([formats, shapes.gate, activation, hasBiases, pool.downByColumns]);
}

/** The inputs of a form's graph, from a slot's memory. */
export function slotTensors({ inputs }: ExpertForm, memory: Uint8Array): [string, HostTensor][] {
  return inputs.map(({ name, type, dims, byteOffset }) => {
    const start = memory.byteOffset + byteOffset;
    const count = dims.reduce((a, b) => a * b);
    const data =
      type === "int8"
        ? new Int8Array(memory.buffer, start, count)
        : new Float32Array(memory.buffer, start, count);
    return [name, { type, data, dims }];
  });
}

/** Records the graph that computes an expert which lies in its slot like this. */
export function recordForm(layout: ColumnsLayout, spec: MoeSpec): ExpertForm {
  const graph = new Graph(new Names());
  const inputs: SlotInput[] = [];
  const give = (type: SlotNumbers, dims: readonly number[], byteOffset: number) => {
    const name = graph.newName();
    graph.inputs.push({ name, type, dims });
    inputs.push({ name, type, dims, byteOffset });
    return name;
  };
  const { hidden, ffn, activation } = spec;
  const x = graph.newName();
  graph.inputs.push({ name: x, type: "float32", dims: ["tokens", hidden] });
  const times = (input: string, name: ProductName, cols: number) => {
    const y = product(graph, input, giveMatrix(layout, name, give), cols);
    if (!layout.biasOffsets) return y;
    const bias = give("float32", [layout.shapes[name][0]], layout.biasOffsets[name]);
    return graph.node("Add", [y, bias]);
  };
  const gate = times(x, "gate", hidden);
  const up = times(x, "up", hidden);
  const y = times(gatedUnit(graph, gate, up, activation), "down", ffn);
  graph.outputs.push({ name: y, type: "float32", dims: ["tokens", hidden] });
  return { model: writeModel(graph), x, y, inputs };
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
