/** Number types of tensors that graphs take, make and hold, by the names of onnxruntime's JavaScript. */
export type ElementType = "float32" | "float16" | "uint8" | "int8" | "int32" | "int64";

/** The value of a node's attribute: whole numbers, a `{ float }`, a name, a list of whole numbers, or a graph that it runs. */
export type Attribute = number | { readonly float: number } | string | readonly number[] | Graph;

/** One operation. Inputs that are left out have empty names. */
export interface GraphNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A tensor that a graph holds. What it contains is asked for when the graph is written, and not kept. */
export interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: () => ArrayBufferView;
}

/** One end of a graph: a name for a length that is known when it runs. */
export interface GraphValue {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly (number | string)[];
}

/** Operators that onnxruntime adds to ONNX's own. */
export const MICROSOFT = "com.microsoft";

/**
 * A graph of ONNX operators under construction; `writeModel` writes it. Values are known by their names, which are unique
 * among all graphs of one `names`.
 */
export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly initializers: Initializer[] = [];
  readonly inputs: GraphValue[] = [];
  readonly outputs: GraphValue[] = [];
  readonly #names: Names;
  readonly #constants = new Map<string, string>();

  constructor(names: Names) {
    this.#names = names;
  }

  /** An empty graph for a node of this one to run: it shares the names. */
  inner(): Graph {
    return new Graph(this.#names);
  }

  /** A name that no value has. */
  newName(): string {
    return this.#names.next();
  }

  /** Adds an operation with one output, and gives its name. */
  node(
    op: string,
    inputs: readonly (string | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): string {
    return this.manyOf(op, inputs, 1, attributes, domain)[0]!;
  }

  /** Adds an operation with `count` outputs. */
  manyOf(
    op: string,
    inputs: readonly (string | undefined)[],
    count: number,
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): string[] {
    const outputs = Array.from({ length: count }, () => this.newName());
    const named = inputs.map((input) => input ?? "");
    this.nodes.push({ op, domain, inputs: named, outputs: [...outputs], attributes });
    return outputs;
  }

  /** A tensor that the graph holds: `data` is called when it is written. */
  holds(type: ElementType, dims: readonly number[], data: () => ArrayBufferView): string {
    const name = this.newName();
    this.initializers.push({ name, type, dims, data });
    return name;
  }

  /** Whole numbers that operators go by: shapes, axes. */
  integers(...values: readonly number[]): string {
    return this.#constant(`i ${values}`, "int64", [values.length], () =>
      BigInt64Array.from(values, BigInt),
    );
  }

  /** A number that is multiplied with or added. */
  scalar(value: number): string {
    return this.#constant(`f ${value}`, "float32", [], () => Float32Array.of(value));
  }

  #constant(
    key: string,
    type: ElementType,
    dims: readonly number[],
    data: () => ArrayBufferView,
  ): string {
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = this.holds(type, dims, data);
      this.#constants.set(key, name);
    }
    return name;
  }
}

/** Gives names to values. */
export class Names {
  #count = 0;

  next(): string {
    return `v${this.#count++}`;
  }
}
