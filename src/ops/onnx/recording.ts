import { type ElementType, Graph, MICROSOFT, Names } from "../../onnx/graph.ts";
import type { Activation, MoeSpec } from "../ops.ts";
import { type GraphMatrix, product } from "./products.ts";
import type { GraphInput, GraphStep, HostStep, InputSource, OnnxProgram } from "./program.ts";
import { holdMatrix, holdVector, type OnnxWeights } from "./weights.ts";

/** `[tokens, width]` or, behind `lastToken`, `[rows, width]`. */
export interface OnnxTensor extends Activation {
  readonly name: string;
  readonly rows: "tokens" | "rows";
}

/** A graph that is being recorded, with its ends. */
class Section {
  readonly graph: Graph;
  readonly inputs: GraphInput[] = [];
  readonly states: GraphStep["states"][number][] = [];
  /** Values that are made in it. */
  readonly own = new Set<string>();
  readonly outputs = new Set<string>();
  label = "";
  weightBytes = 0;

  constructor(names: Names) {
    this.graph = new Graph(names);
  }
}

/**
 * A forward pass under recording: graphs, and between them what the host does. A graph ends where the host has to act;
 * what was made in it and is used behind it becomes its output.
 */
export class OnnxRecording {
  readonly weights: OnnxWeights;
  readonly #names = new Names();
  readonly #steps: (Section | HostStep)[] = [];
  #section = new Section(this.#names);
  /** What the host does as soon as the graph under recording has run. */
  readonly #behind: HostStep[] = [];
  /** Where values are made that graphs make. */
  readonly #sections = new Map<string, Section>();
  readonly #matrices = new Map<string, GraphMatrix>();
  readonly #inputNames = new Map<string, string>();

  constructor(weights: OnnxWeights) {
    this.weights = weights;
  }

  /** The graph that is being recorded. */
  get graph(): Graph {
    return this.#section.graph;
  }

  /** A name for a value that the host makes. */
  hostTensor(width: number, rows: OnnxTensor["rows"] = "tokens"): OnnxTensor {
    return { name: this.#names.next(), width, rows };
  }

  /** A value of the graph under recording. */
  tensor(name: string, width: number, rows: OnnxTensor["rows"] = "tokens"): OnnxTensor {
    this.#sections.set(name, this.#section);
    return { name, width, rows };
  }

  /** The name of a tensor for use in the graph under recording: an input of it, where it was made before. */
  use(tensor: OnnxTensor): string {
    const { name, width, rows } = tensor;
    const section = this.#section;
    const maker = this.#sections.get(name);
    if (maker === section) return name;
    if (maker) this.#export(maker, tensor);
    if (!section.inputs.some((input) => input.name === name)) {
      section.graph.inputs.push({ name, type: "float32", dims: [rows, width] });
      section.inputs.push({ name, source: { kind: "value" } });
    }
    return name;
  }

  /** The name of a tensor that the host reads. */
  read(tensor: OnnxTensor): string {
    const maker = this.#sections.get(tensor.name);
    if (maker) this.#export(maker, tensor);
    return tensor.name;
  }

  /** An input that the host gives; one for each source in a graph. */
  input(source: InputSource, type: ElementType, dims: readonly (number | string)[]): string {
    const section = this.#section;
    const key = `${this.#steps.length} ${JSON.stringify(source)}`;
    const known = this.#inputNames.get(key);
    if (known !== undefined) return known;
    const name = this.#names.next();
    this.#inputNames.set(key, name);
    section.graph.inputs.push({ name, type, dims });
    section.inputs.push({ name, source });
    return name;
  }

  /** Makes a value of the graph under recording the new state of a layer. */
  setState(
    name: string,
    state: Omit<GraphStep["states"][number], "name">,
    dims: readonly number[],
  ): void {
    const section = this.#section;
    section.graph.outputs.push({ name, type: "float32", dims });
    section.states.push({ name, ...state });
  }

  /** `x Wᵀ` with a matrix of the model. */
  product(x: string, name: string, cols: number): string {
    const section = this.#section;
    const key = `${this.#steps.length} ${name}`;
    let matrix = this.#matrices.get(key);
    if (!matrix) {
      const held = holdMatrix(section.graph, this.weights.matrix(name), this.weights.expands);
      section.weightBytes += held.bytes;
      section.label ||= name;
      matrix = held.matrix;
      this.#matrices.set(key, matrix);
    }
    return product(section.graph, x, matrix, cols);
  }

  /** A vector of the model in the graph under recording. Throws "shape-mismatch" for another length than `width`. */
  vector(name: string, width: number, dims?: readonly number[]): string {
    return holdVector(this.graph, this.weights, name, width, dims);
  }

  /** `x / sqrt(mean(x²) + epsilon) * weight` over the last axis; weight is a value of the graph. */
  rmsNormed(x: string, weight: string, epsilon: number): string {
    return this.graph.node("SimplifiedLayerNormalization", [x, weight], {
      axis: -1,
      epsilon: { float: epsilon },
      stash_type: 1,
    });
  }

  /** `a bᵀ * alpha` of the last two axes; the others are paired, or of length 1. */
  transposedProduct(a: string, b: string, alpha = 1): string {
    const attributes = { transB: 1, alpha: { float: alpha } };
    return this.graph.node("FusedMatMul", [a, b], attributes, MICROSOFT);
  }

  /**
   * For each head the product of a with what the cache holds: a `[heads, rows, cols]` and b `[keys, heads, dim]`, which is
   * read where it lies. `a bᵀ * alpha` or, not transposed, `a b * alpha`.
   */
  cachedProduct(
    a: string,
    b: string,
    { transposed, alpha = 1 }: { readonly transposed: boolean; readonly alpha?: number },
  ): string {
    const attributes = { transBatchB: 1, transB: transposed ? 1 : 0, alpha: { float: alpha } };
    return this.graph.node("FusedMatMul", [a, b], attributes, MICROSOFT);
  }

  /** What the host does behind the graph under recording, which may go on until `cut`. */
  later(step: HostStep): void {
    this.#behind.push(step);
  }

  /** Ends the graph under recording; the host does what is due, and `step`. */
  cut(step?: HostStep): void {
    this.#steps.push(this.#section, ...this.#behind.splice(0), ...(step ? [step] : []));
    this.#section = new Section(this.#names);
  }

  finish(moe: readonly MoeSpec[], logits: OnnxTensor): OnnxProgram {
    const name = this.read(logits);
    this.cut();
    const steps = this.#steps.flatMap((step): (GraphStep | HostStep)[] => {
      if (!(step instanceof Section)) return [step];
      const { graph, inputs, states, label, weightBytes } = step;
      if (graph.outputs.length === 0) return [];
      return [{ kind: "graph", label, graph, inputs, states, weightBytes }];
    });
    return { steps, moe, logits: name };
  }

  #export({ outputs, graph }: Section, { name, rows, width }: OnnxTensor): void {
    if (outputs.has(name)) return;
    outputs.add(name);
    graph.outputs.push({ name, type: "float32", dims: [rows, width] });
  }
}
