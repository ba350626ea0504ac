import type { Columns } from "../../formats/columns.ts";
import type { WeightFormat } from "../../formats/format.ts";
import type { Graph } from "../../onnx/graph.ts";

/** A matrix in a graph, by columns `[cols, rows]`: the names of what it is made of. See `src/formats/columns.ts`. */
export type GraphMatrix =
  | { readonly kind: "floats"; readonly values: string }
  | {
      readonly kind: "integers";
      readonly quants: string;
      readonly scales: string;
      readonly mins: string | undefined;
      readonly groupWeights: number;
      /** Whether groups run along rows, as in a matrix that is stored by columns. */
      readonly groupsAlongRows: boolean;
    };

/**
 * `x Wᵀ` of a matrix `[rows, cols]` that lies by columns. x `[any, cols]` -> `[any, rows]`. What is packed is expanded
 * before it is multiplied with: the sums are those of f32 weights, but for mins, whose sums come off at the end.
 */
export function product(graph: Graph, x: string, matrix: GraphMatrix, cols: number): string {
  if (matrix.kind === "floats") return graph.node("MatMul", [x, matrix.values]);
  const { quants, scales, mins, groupWeights, groupsAlongRows } = matrix;
  const axis = groupsAlongRows ? 1 : 0;
  const weights = graph.node("DequantizeLinear", [quants, scales], {
    axis,
    block_size: groupWeights,
  });
  if (mins === undefined) return graph.node("MatMul", [x, weights]);
  if (groupsAlongRows) return graph.node("MatMul", [x, withoutMins(graph, weights, matrix, cols)]);
  const scaled = graph.node("MatMul", [x, weights]);
  const shape = graph.integers(-1, cols / groupWeights, groupWeights);
  const groups = graph.node("Reshape", [x, shape]);
  const sums = graph.node("ReduceSum", [groups, graph.integers(2)], { keepdims: 0 });
  return graph.node("Sub", [scaled, graph.node("MatMul", [sums, mins])]);
}

/** Weights `[cols, rows]` less the min of each group of a column. */
function withoutMins(
  graph: Graph,
  weights: string,
  { mins, groupWeights }: Extract<GraphMatrix, { kind: "integers" }>,
  cols: number,
): string {
  const groups = graph.node("Reshape", [weights, graph.integers(cols, -1, groupWeights)]);
  const each = graph.node("Unsqueeze", [mins, graph.integers(2)]);
  return graph.node("Reshape", [graph.node("Sub", [groups, each]), graph.integers(cols, -1)]);
}

/** The matrix that columns stand for, in f32: `[cols, rows]`. */
export function expanded(columns: Columns, rows: number): Float32Array {
  if (columns.kind === "floats") return columns.values;
  const { quants, scales, mins, groupWeights } = columns;
  const values = new Float32Array(quants.length);
  for (let first = 0, col = 0; first < quants.length; first += rows, col++) {
    const group = Math.floor(col / groupWeights) * rows;
    for (let row = 0; row < rows; row++) {
      const min = mins ? mins[group + row]! : 0;
      values[first + row] = quants[first + row]! * scales[group + row]! - min;
    }
  }
  return values;
}

/** How many axes and of which lengths the parts of a matrix by columns have. */
export function columnShapes(
  { integers }: WeightFormat,
  [rows, cols]: readonly [number, number],
  groupsAlongRows: boolean,
): { readonly matrix: readonly [number, number]; readonly groups: readonly [number, number] } {
  const group = integers?.groupWeights ?? 1;
  return {
    matrix: [cols, rows],
    groups: groupsAlongRows ? [cols, rows / group] : [cols / group, rows],
  };
}
