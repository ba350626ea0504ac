import { type Columns, columnsBytes, viewColumns, writeColumns } from "../../formats/columns.ts";
import type { WeightFormat } from "../../formats/format.ts";
import type { Graph } from "../../onnx/graph.ts";
import { checkVector } from "../checks.ts";
import { columnShapes, expanded, type GraphMatrix } from "./products.ts";

/** A matrix `[rows, cols]` that every token needs. */
export interface HostMatrix {
  readonly rows: number;
  readonly cols: number;
  readonly format: WeightFormat;
  /** In the format's planes. */
  planes(): Uint8Array;
}

/** The weights of a model as graphs take them up. */
export interface OnnxWeights {
  matrix(name: string): HostMatrix;
  /** A small tensor's values, in f32, as they stand in the file. */
  values(name: string): Float32Array;
  /** All of a matrix in f32, as it stands in the file: `[rows, cols]`. */
  rowsOf(name: string): Float32Array;
  /** Whether graphs hold matrices in f32, which is faster, or packed. */
  readonly expands: boolean;
}

/** Lets a graph hold a vector. Throws "shape-mismatch" where it has another length than `width`. */
export function holdVector(
  graph: Graph,
  weights: OnnxWeights,
  name: string,
  width: number,
  dims: readonly number[] = [width],
): string {
  const values = weights.values(name);
  checkVector(name, values.length, width);
  return graph.holds("float32", dims, () => values);
}

/** Lets a graph hold a matrix; the bytes that it takes there. */
export function holdMatrix(
  graph: Graph,
  { rows, cols, format, planes }: HostMatrix,
  expands: boolean,
): { readonly matrix: GraphMatrix; readonly bytes: number } {
  const columns = once(() => columnsOf(format, [rows, cols], planes()));
  if (expands || !format.integers) {
    const values = graph.holds("float32", [cols, rows], () => expanded(columns(), rows));
    return { matrix: { kind: "floats", values }, bytes: 4 * rows * cols };
  }
  const { matrix, groups } = columnShapes(format, [rows, cols], false);
  const parts = () => columns() as Extract<Columns, { kind: "integers" }>;
  return {
    matrix: {
      kind: "integers",
      quants: graph.holds("int8", matrix, () => parts().quants),
      scales: graph.holds("float32", groups, () => parts().scales),
      mins: format.integers.hasMins
        ? graph.holds("float32", groups, () => parts().mins!)
        : undefined,
      groupWeights: format.integers.groupWeights,
      groupsAlongRows: false,
    },
    bytes: columnsBytes(format, [rows, cols]),
  };
}

function columnsOf(
  format: WeightFormat,
  shape: readonly [number, number],
  planes: Uint8Array,
): Columns {
  const columns = viewColumns(format, shape, new Uint8Array(columnsBytes(format, shape)), 0);
  writeColumns(format, shape, planes, columns);
  return columns;
}

function once<Result>(make: () => Result): () => Result {
  let made: Result | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
