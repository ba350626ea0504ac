import { type Graph, MICROSOFT } from "../../onnx/graph.ts";
import type { ActivationName } from "../ops.ts";

/** The gated units of the activation functions: see `Ops.gatedUnit`. */
const units: Readonly<Record<ActivationName, (graph: Graph, gate: string, up: string) => string>> =
  {
    silu: (graph, gate, up) => graph.node("Mul", [silu(graph, gate), up]),
    relu: (graph, gate, up) => graph.node("Mul", [graph.node("Relu", [gate]), up]),
    gelu: (graph, gate, up) =>
      graph.node("Mul", [graph.node("FastGelu", [gate], {}, MICROSOFT), up]),
    "swiglu-oai": (graph, gate, up) => {
      const limit = graph.scalar(7);
      const x = graph.node("Min", [gate, limit]);
      const y = graph.node("Max", [graph.node("Min", [up, limit]), graph.scalar(-7)]);
      const swish = graph.node("Sigmoid", [graph.node("Mul", [x, graph.scalar(1.702)])]);
      const activated = graph.node("Mul", [x, swish]);
      return graph.node("Mul", [activated, graph.node("Add", [y, graph.scalar(1)])]);
    },
  };

/** Records a gated unit of two values of the same shape. */
export function gatedUnit(
  graph: Graph,
  gate: string,
  up: string,
  activation: ActivationName,
): string {
  return units[activation](graph, gate, up);
}

/** `x * sigmoid(x)` */
export function silu(graph: Graph, x: string): string {
  return graph.node("Mul", [x, graph.node("Sigmoid", [x])]);
}
