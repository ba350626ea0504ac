import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type Columns,
  columnsBytes,
  viewColumns,
  writeColumns,
  writeStoredColumns,
} from "../../../../src/formats/columns.ts";
import { repackMatrix, type WeightFormat } from "../../../../src/formats/format.ts";
import { weightFormats } from "../../../../src/formats/registry.ts";
import { createRandom, normalArray } from "../../../../src/numeric/random.ts";
import { Graph, Names } from "../../../../src/onnx/graph.ts";
import { type HostTensor, OnnxRuntime } from "../../../../src/onnx/runtime.ts";
import {
  columnShapes,
  expanded,
  type GraphMatrix,
  product,
} from "../../../../src/ops/onnx/products.ts";
import { holdMatrix } from "../../../../src/ops/onnx/weights.ts";
import { runs } from "../../../helpers/random-cases.ts";
import { expectWithin } from "../../../helpers/within.ts";

let runtime: OnnxRuntime;
beforeAll(async () => {
  runtime = await OnnxRuntime.load();
});

/** A product to compute: `x Wᵀ`, W `[rows, cols]` and x `[tokens, cols]`. */
interface Case {
  readonly format: WeightFormat;
  readonly rows: number;
  readonly cols: number;
  readonly tokens: number;
  readonly seed: number;
}

const cases = (format: WeightFormat): fc.Arbitrary<Case> =>
  fc.record({
    format: fc.constant(format),
    rows: fc.integer({ min: 1, max: 70 }),
    cols: fc
      .integer({ min: 1, max: 3 })
      .map((blocks) => blocks * Math.max(32, format.blockWeights)),
    tokens: fc.integer({ min: 1, max: 5 }),
    seed: fc.nat(),
  });

function valuesOf({ format, rows, cols, tokens, seed }: Case) {
  const random = createRandom(seed);
  const blocks = format.encode(normalArray(random, rows * cols, 1));
  return {
    weights: format.decode(blocks),
    planes: repackMatrix(format, blocks),
    x: normalArray(random, tokens * cols, 1),
  };
}

/**
 * What `x Wᵀ` is, and how far f32 may be from it: each weight is rounded once, or twice where its min comes off, and the
 * sum of n products by n roundings, in any order. Where mins are summed apart, both sums round.
 */
function reference(
  { rows, cols, tokens }: Case,
  weightOf: (row: number, col: number) => { readonly weight: number; readonly min: number },
  x: Float32Array,
) {
  const values: number[] = [];
  const bounds: number[] = [];
  for (let token = 0; token < tokens; token++) {
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      let absolute = 0;
      for (let col = 0; col < cols; col++) {
        const { weight, min } = weightOf(row, col);
        const input = x[token * cols + col]!;
        sum += weight * input;
        absolute += (Math.abs(weight) + 2 * Math.abs(min)) * Math.abs(input);
      }
      values.push(sum);
      bounds.push((cols + 3) * 2 ** -24 * absolute);
    }
  }
  return { values, bounds };
}

/** Compiles and runs a graph of one product; what it has as inputs is given. */
async function run(
  { tokens, cols }: Case,
  x: Float32Array,
  matrixOf: (graph: Graph, given: Map<string, HostTensor>) => GraphMatrix,
): Promise<Float32Array> {
  const graph = new Graph(new Names());
  const given = new Map<string, HostTensor>();
  const input = graph.newName();
  graph.inputs.push({ name: input, type: "float32", dims: ["tokens", cols] });
  given.set(input, { type: "float32", data: x, dims: [tokens, cols] });
  const y = product(graph, input, matrixOf(graph, given), cols);
  graph.outputs.push({ name: y, type: "float32", dims: ["tokens", "rows"] });
  const compiled = await runtime.compile(graph, { folds: false });
  const outputs = await compiled.run(given);
  await compiled.dispose();
  return outputs.get(y)!.data as Float32Array;
}

/** A matrix by columns as inputs of a graph. */
function give(
  graph: Graph,
  given: Map<string, HostTensor>,
  { format, rows, cols }: Case,
  columns: Columns,
  groupsAlongRows: boolean,
): GraphMatrix {
  const { matrix, groups } = columnShapes(format, [rows, cols], groupsAlongRows);
  const input = (type: "float32" | "int8", data: ArrayBufferView, dims: readonly number[]) => {
    const name = graph.newName();
    graph.inputs.push({ name, type, dims });
    given.set(name, { type, data, dims });
    return name;
  };
  if (columns.kind === "floats") {
    return { kind: "floats", values: input("float32", columns.values, matrix) };
  }
  const { quants, scales, mins, groupWeights } = columns;
  return {
    kind: "integers",
    quants: input("int8", quants, matrix),
    scales: input("float32", scales, groups),
    mins: mins && input("float32", mins, groups),
    groupWeights,
    groupsAlongRows,
  };
}

function columnsOf(
  { format, rows, cols }: Case,
  planes: Uint8Array,
  write: typeof writeColumns,
): Columns {
  const memory = new Uint8Array(columnsBytes(format, [rows, cols]));
  const columns = viewColumns(format, [rows, cols], memory, 0);
  write(format, [rows, cols], planes, columns);
  return columns;
}

describe.for(Object.values(weightFormats))("products of %o", { timeout: 60_000 }, (format) => {
  test(`${format.name}: held in f32 or packed, or given, they are those of f64`, async () => {
    await fc.assert(
      fc.asyncProperty(cases(format), async (each) => {
        const { rows, cols } = each;
        const { weights, planes, x } = valuesOf(each);
        const columns = columnsOf(each, planes, writeColumns);
        const group = format.integers?.groupWeights ?? 1;
        const mins = columns.kind === "integers" ? columns.mins : undefined;
        const minOf = (row: number, col: number) =>
          mins?.[Math.floor(col / group) * rows + row] ?? 0;
        const wanted = reference(
          each,
          (row, col) => ({ weight: weights[row * cols + col]!, min: minOf(row, col) }),
          x,
        );
        const held = { rows, cols, format, planes: () => planes };

        const ways = [
          (graph: Graph) => holdMatrix(graph, held, true).matrix,
          (graph: Graph) => holdMatrix(graph, held, false).matrix,
          (graph: Graph, given: Map<string, HostTensor>) =>
            give(graph, given, each, columns, false),
        ];
        for (const way of ways) expectWithin(await run(each, x, way), wanted);
      }),
      { numRuns: runs(6) },
    );
  });

  test(`${format.name}: of a matrix stored by columns they are those of f64`, async () => {
    // Rows have whole blocks there.
    const turned = cases(format).map((each) => ({ ...each, rows: each.cols, cols: each.rows }));
    await fc.assert(
      fc.asyncProperty(turned, async (each) => {
        const { rows } = each;
        const { weights, planes, x } = valuesOf(each);
        const columns = columnsOf(each, planes, writeStoredColumns);
        const group = format.integers?.groupWeights ?? 1;
        const mins = columns.kind === "integers" ? columns.mins : undefined;
        const wanted = reference(
          each,
          (row, col) => {
            const index = col * rows + row;
            return { weight: weights[index]!, min: mins?.[Math.floor(index / group)] ?? 0 };
          },
          x,
        );

        const y = await run(each, x, (graph, given) => give(graph, given, each, columns, true));

        expectWithin(y, wanted);
      }),
      { numRuns: runs(6) },
    );
  });

  test(`${format.name}: expanded, a matrix has the weights that its blocks stand for`, () => {
    fc.assert(
      fc.property(cases(format), (each) => {
        const { rows, cols } = each;
        const { weights, planes } = valuesOf(each);

        const values = expanded(columnsOf(each, planes, writeColumns), rows);

        const wrong = values.findIndex((value, index) => {
          const wanted = weights[(index % rows) * cols + Math.floor(index / rows)]!;
          return value !== wanted;
        });
        expect(wrong).toBe(-1);
      }),
      { numRuns: runs(10) },
    );
  });
});
