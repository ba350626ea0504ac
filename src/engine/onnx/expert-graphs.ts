import { Graph, Names } from "../../onnx/graph.ts";
import type { CompiledGraph, HostTensor, OnnxRuntime } from "../../onnx/runtime.ts";
import { columnShapes, type GraphMatrix, product } from "../../ops/onnx/products.ts";
import { gatedUnit } from "../../ops/onnx/units.ts";
import type { MoeSpec } from "../../ops/ops.ts";
import {
  type ColumnsLayout,
  type ExpertColumns,
  PRODUCTS,
  type ProductName,
} from "./expert-columns.ts";

/** The graphs that compute a layer's experts. Layers that are laid out alike share them. */
export interface ExpertGraphs {
  /** Any tokens with one expert. x `[tokens, hidden]` -> y `[tokens, hidden]` */
  readonly one: ExpertGraph;
  /** One token with all that it chose, in order: residual `[1, hidden]` and weights `[topK]` besides. */
  readonly all: ExpertGraph;
}

/** Compiles the graphs of a model's layers; each form once. */
export class ExpertGraphSet {
  readonly #runtime: OnnxRuntime;
  readonly #graphs = new Map<string, Promise<ExpertGraphs>>();

  constructor(runtime: OnnxRuntime) {
    this.#runtime = runtime;
  }

  /** Throws as `OnnxRuntime.compile`. */
  of(layout: ColumnsLayout, spec: MoeSpec): Promise<ExpertGraphs> {
    const key = formOf(layout, spec);
    let graphs = this.#graphs.get(key);
    if (!graphs) {
      graphs = this.#compile(layout, spec);
      this.#graphs.set(key, graphs);
    }
    return graphs;
  }

  async dispose(): Promise<void> {
    for (const compiled of await Promise.allSettled(this.#graphs.values())) {
      if (compiled.status === "rejected") continue;
      await compiled.value.one.dispose();
      await compiled.value.all.dispose();
    }
  }

  async #compile(layout: ColumnsLayout, spec: MoeSpec): Promise<ExpertGraphs> {
    const one = await this.#compileGraph(layout, spec, 1, false);
    try {
      return { one, all: await this.#compileGraph(layout, spec, spec.topK, true) };
    } catch (error) {
      await one.dispose();
      throw error;
    }
  }

  async #compileGraph(
    layout: ColumnsLayout,
    spec: MoeSpec,
    count: number,
    sums: boolean,
  ): Promise<ExpertGraph> {
    const recorded = recordExperts(layout, spec, count, sums);
    const compiled = await this.#runtime.compile(recorded.graph, { folds: true });
    return new ExpertGraph(compiled, recorded);
  }
}

/** What decides how experts are computed. */
function formOf({ pool, shapes }: ColumnsLayout, spec: MoeSpec): string {
  const formats = PRODUCTS.map((name) => pool[name].format.name);
  const hasBiases = pool.biases !== undefined;
  const { activation, topK } = spec;
  return JSON.stringify([formats, shapes.gate, activation, topK, hasBiases, pool.downByColumns]);
}

/** The names of what one expert is given to a graph as. */
interface ExpertInputs {
  readonly matrices: Readonly<Record<ProductName, GraphMatrix>>;
  readonly biases: Readonly<Record<ProductName, string>> | undefined;
}

interface RecordedExperts {
  readonly graph: Graph;
  readonly layout: ColumnsLayout;
  readonly x: string;
  readonly y: string;
  readonly experts: readonly ExpertInputs[];
  readonly residual: string | undefined;
  readonly weights: string | undefined;
}

/** One of {@link ExpertGraphs}. */
export class ExpertGraph {
  readonly #compiled: CompiledGraph;
  readonly #recorded: RecordedExperts;

  constructor(compiled: CompiledGraph, recorded: RecordedExperts) {
    this.#compiled = compiled;
    this.#recorded = recorded;
  }

  /** Runs it. x `[tokens, hidden]` -> the same; throws as `CompiledGraph.run`. */
  async run(
    x: HostTensor,
    experts: readonly ExpertColumns[],
    sum?: { readonly residual: HostTensor; readonly weights: Float32Array },
  ): Promise<Float32Array> {
    const recorded = this.#recorded;
    const inputs = new Map<string, HostTensor>([[recorded.x, x]]);
    for (const [index, names] of recorded.experts.entries()) {
      giveExpert(inputs, recorded.layout, names, experts[index]!);
    }
    if (sum) {
      inputs.set(recorded.residual!, sum.residual);
      inputs.set(recorded.weights!, {
        type: "float32",
        data: sum.weights,
        dims: [sum.weights.length],
      });
    }
    const outputs = await this.#compiled.run(inputs);
    return outputs.get(recorded.y)!.data as Float32Array;
  }

  dispose(): Promise<void> {
    return this.#compiled.dispose();
  }
}

function giveExpert(
  inputs: Map<string, HostTensor>,
  layout: ColumnsLayout,
  names: ExpertInputs,
  { matrices, biases }: ExpertColumns,
): void {
  for (const name of PRODUCTS) {
    const columns = matrices[name];
    const given = names.matrices[name];
    const { matrix, groups } = shapesOf(layout, name);
    if (columns.kind === "floats" && given.kind === "floats") {
      inputs.set(given.values, { type: "float32", data: columns.values, dims: matrix });
    } else if (columns.kind === "integers" && given.kind === "integers") {
      inputs.set(given.quants, { type: "int8", data: columns.quants, dims: matrix });
      inputs.set(given.scales, { type: "float32", data: columns.scales, dims: groups });
      if (given.mins !== undefined) {
        inputs.set(given.mins, { type: "float32", data: columns.mins!, dims: groups });
      }
    }
    if (names.biases && biases) {
      const bias = biases[name];
      inputs.set(names.biases[name], { type: "float32", data: bias, dims: [bias.length] });
    }
  }
}

function recordExperts(
  layout: ColumnsLayout,
  spec: MoeSpec,
  count: number,
  sums: boolean,
): RecordedExperts {
  const graph = new Graph(new Names());
  const input = (type: "float32" | "int8", dims: readonly (number | string)[]) => {
    const name = graph.newName();
    graph.inputs.push({ name, type, dims });
    return name;
  };
  const { hidden } = spec;
  const x = input("float32", ["tokens", hidden]);
  const experts = Array.from({ length: count }, () => openExpert(layout, input));
  const products = experts.map((expert) => recordExpert(graph, x, expert, spec));
  if (!sums) {
    const y = products[0]!;
    graph.outputs.push({ name: y, type: "float32", dims: ["tokens", hidden] });
    return { graph, layout, x, y, experts, residual: undefined, weights: undefined };
  }
  const residual = input("float32", [1, hidden]);
  const weights = input("float32", [count]);
  const each = count === 1 ? [weights] : split(graph, weights, count);
  let y = residual;
  for (const [index, own] of products.entries()) {
    y = graph.node("Add", [y, graph.node("Mul", [own, each[index]!])]);
  }
  graph.outputs.push({ name: y, type: "float32", dims: [1, hidden] });
  return { graph, layout, x, y, experts, residual, weights };
}

/** The numbers of a vector, one by one. */
function split(graph: Graph, vector: string, count: number): string[] {
  const ones = graph.integers(...new Array<number>(count).fill(1));
  return graph.manyOf("Split", [vector, ones], count, { axis: 0 });
}

function openExpert(
  layout: ColumnsLayout,
  input: (type: "float32" | "int8", dims: readonly (number | string)[]) => string,
): ExpertInputs {
  const matrix = (name: ProductName): GraphMatrix => {
    const { format } = layout.pool[name];
    const { matrix, groups } = shapesOf(layout, name);
    if (!format.integers) return { kind: "floats", values: input("float32", matrix) };
    return {
      kind: "integers",
      quants: input("int8", matrix),
      scales: input("float32", groups),
      mins: format.integers.hasMins ? input("float32", groups) : undefined,
      groupWeights: format.integers.groupWeights,
      groupsAlongRows: isStoredByColumns(layout, name),
    };
  };
  const bias = (name: ProductName) => input("float32", [layout.shapes[name][0]]);
  return {
    matrices: { gate: matrix("gate"), up: matrix("up"), down: matrix("down") },
    biases: layout.pool.biases && { gate: bias("gate"), up: bias("up"), down: bias("down") },
  };
}

function recordExpert(
  graph: Graph,
  x: string,
  { matrices, biases }: ExpertInputs,
  { hidden, ffn, activation }: MoeSpec,
): string {
  const times = (input: string, name: ProductName, cols: number) => {
    const y = product(graph, input, matrices[name], cols);
    return biases ? graph.node("Add", [y, biases[name]]) : y;
  };
  const gate = times(x, "gate", hidden);
  const up = times(x, "up", hidden);
  return times(gatedUnit(graph, gate, up, activation), "down", ffn);
}

function shapesOf(layout: ColumnsLayout, name: ProductName) {
  const { format } = layout.pool[name];
  return columnShapes(format, layout.shapes[name], isStoredByColumns(layout, name));
}

function isStoredByColumns({ pool }: ColumnsLayout, name: ProductName): boolean {
  return name === "down" && pool.downByColumns;
}
