import { expect, test } from "vitest";
import { Graph, MICROSOFT, Names } from "../../../src/onnx/graph.ts";

test("names are unique among the graphs of one set of names", () => {
  const names = new Names();
  const graph = new Graph(names);
  const inner = graph.inner();
  const other = new Graph(names);

  const given = [graph, inner, other].flatMap((each) => [
    each.newName(),
    each.node("Identity", ["x"]),
    ...each.manyOf("Split", ["x"], 3),
    each.holds("int8", [1], () => new Int8Array(1)),
    each.integers(1, 2),
    each.scalar(0.5),
  ]);

  expect(new Set(given).size).toBe(given.length);
});

test("nodes have their inputs, those left out with empty names, and as many outputs as they were asked for", () => {
  const graph = new Graph(new Names());

  const outputs = graph.manyOf("Op", ["a", undefined, "b"], 2, { axis: -1 }, MICROSOFT);

  expect(outputs).toHaveLength(2);
  expect(graph.nodes).toEqual([
    { op: "Op", domain: MICROSOFT, inputs: ["a", "", "b"], outputs, attributes: { axis: -1 } },
  ]);
});

test("a constant is held once for each value and shape, and its data made when it is asked for", () => {
  const graph = new Graph(new Names());
  const inner = graph.inner();

  const axes = graph.integers(1, -2);
  const others = [graph.integers(1), graph.integers(1, -2, 0), graph.scalar(1), graph.scalar(-2)];

  expect(graph.integers(1, -2)).toBe(axes);
  expect(graph.scalar(1)).toBe(others[2]);
  expect(new Set([axes, ...others]).size).toBe(5);
  expect(inner.integers(1, -2)).not.toBe(axes);
  expect(graph.initializers).toHaveLength(5);
  const held = graph.initializers.find(({ name }) => name === axes)!;
  expect(held).toMatchObject({ type: "int64", dims: [2] });
  expect(held.data()).toEqual(BigInt64Array.of(1n, -2n));
  const scalar = graph.initializers.find(({ name }) => name === others[3])!;
  expect(scalar).toMatchObject({ type: "float32", dims: [] });
  expect(scalar.data()).toEqual(Float32Array.of(-2));
});
