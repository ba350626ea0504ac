import type { Graph } from "../../onnx/graph.ts";
import { checkWidth } from "../checks.ts";
import {
  type Mamba2Spec,
  mambaChannels,
  mambaInner,
  projectedWidth,
  type RecurrentSpec,
  type ShortConvSpec,
} from "../recurrent.ts";
import type { OnnxRecording, OnnxTensor } from "./recording.ts";
import { silu } from "./units.ts";

/** Records a gated short convolution: see `Ops.shortConv`. */
export function recordShortConv(
  recording: OnnxRecording,
  x: OnnxTensor,
  spec: ShortConvSpec,
): OnnxTensor {
  const { graph } = recording;
  const { channels, filter } = spec;
  checkWidth(filter, x.width, projectedWidth(spec));
  const lengths = graph.integers(channels, channels, channels);
  const parts = graph.manyOf("Split", [recording.use(x), lengths], 3, { axis: 1 });
  const [b, c, v] = parts as [string, string, string];
  const sums = convolved(recording, graph.node("Mul", [b, v]), spec, channels);
  return recording.tensor(graph.node("Mul", [c, sums]), channels);
}

/** Records Mamba 2 between its projections: see `Ops.mamba2`. */
export function recordMamba2(
  recording: OnnxRecording,
  x: OnnxTensor,
  spec: Mamba2Spec,
): OnnxTensor {
  const { graph } = recording;
  const { heads, headDim, groups, stateDim } = spec;
  const [inner, channels] = [mambaInner(spec), mambaChannels(spec)];
  checkWidth(spec.filter, x.width, projectedWidth(spec));
  const split = (y: string, ...widths: readonly number[]) =>
    graph.manyOf("Split", [y, graph.integers(...widths)], widths.length, { axis: 1 });
  const [z, convolvable, steps] = split(recording.use(x), inner, channels, heads);
  const sums = convolved(recording, convolvable!, spec, channels);
  const bias = recording.vector(spec.filterBias, channels);
  const activated = silu(graph, graph.node("Add", [sums, bias]));
  const [u, b, c] = split(activated, inner, groups * stateDim, groups * stateDim);
  const dt = graph.node("Softplus", [
    graph.node("Add", [steps, recording.vector(spec.timeBias, heads)]),
  ]);
  const y = scanned(recording, { u: u!, b: b!, c: c!, dt }, spec);
  const gated = graph.node("Mul", [y, silu(graph, z!)]);

  const ofGroups = graph.node("Reshape", [gated, graph.integers(-1, groups, inner / groups)]);
  const ones = graph.holds("float32", [inner / groups], () =>
    new Float32Array(inner / groups).fill(1),
  );
  const normed = recording.rmsNormed(ofGroups, ones, spec.epsilon);
  const weight = recording.vector(spec.norm, inner, [groups, inner / groups]);
  const weighted = graph.node("Mul", [normed, weight]);
  const flat = graph.node("Reshape", [weighted, graph.integers(-1, inner)]);
  return recording.tensor(flat, heads * headDim);
}

/**
 * Each channel's filter over its last inputs, those of the state before the pass's own; advances the state.
 * x `[tokens, channels]` -> the same
 */
function convolved(
  recording: OnnxRecording,
  x: string,
  { layer, taps, filter }: RecurrentSpec,
  channels: number,
): string {
  const { graph } = recording;
  const before = recording.input({ kind: "state", layer, part: "inputs" }, "float32", [
    taps - 1,
    channels,
  ]);
  const all = graph.node("Concat", [before, x], { axis: 0 });
  const last = graph.node("Slice", [
    all,
    graph.integers(1 - taps),
    graph.integers(Number.MAX_SAFE_INTEGER),
    graph.integers(0),
  ]);
  recording.setState(last, { layer, part: "inputs" }, [taps - 1, channels]);
  const channelsFirst = graph.node("Transpose", [all], { perm: [1, 0] });
  const batch = graph.node("Unsqueeze", [channelsFirst, graph.integers(0)]);
  const weight = recording.vector(filter, channels * taps, [channels, 1, taps]);
  const sums = graph.node("Conv", [batch, weight], { group: channels, kernel_shape: [taps] });
  const single = graph.node("Squeeze", [sums, graph.integers(0)]);
  return graph.node("Transpose", [single], { perm: [1, 0] });
}

/** The scan over tokens, which advances the layer's state: `[tokens, heads * headDim]`. */
function scanned(
  recording: OnnxRecording,
  {
    u,
    b,
    c,
    dt,
  }: { readonly u: string; readonly b: string; readonly c: string; readonly dt: string },
  { layer, heads, headDim, groups, stateDim, decay, skip }: Mamba2Spec,
): string {
  const { graph } = recording;
  const reshaped = (x: string, ...shape: readonly number[]) =>
    graph.node("Reshape", [x, graph.integers(...shape)]);
  /** `[tokens, groups, stateDim]` for each head: `[tokens, heads, ...]`. */
  const ofHeads = (x: string, ...shape: readonly [number, number]) => {
    const each = reshaped(x, -1, groups, 1, stateDim);
    const repeated = graph.node("Expand", [
      each,
      graph.integers(1, groups, heads / groups, stateDim),
    ]);
    return reshaped(repeated, -1, heads, ...shape);
  };
  const kept = graph.node("Exp", [graph.node("Mul", [dt, recording.vector(decay, heads)])]);
  const input = reshaped(u, -1, heads, headDim);
  const step = reshaped(dt, -1, heads, 1);
  const timed = graph.node("Mul", [input, step]);
  const state = recording.input({ kind: "state", layer, part: "scan" }, "float32", [
    heads,
    headDim,
    stateDim,
  ]);
  const [after, y] = graph.manyOf(
    "Scan",
    [
      state,
      reshaped(kept, -1, heads, 1, 1),
      reshaped(timed, -1, heads, headDim, 1),
      ofHeads(b, 1, stateDim),
      ofHeads(c, stateDim, 1),
    ],
    2,
    { body: scanStep(graph, heads, headDim, stateDim), num_scan_inputs: 4 },
  );
  recording.setState(after!, { layer, part: "scan" }, [heads, headDim, stateDim]);
  const past = graph.node("Mul", [input, recording.vector(skip, heads, [heads, 1])]);
  const sum = graph.node("Add", [reshaped(y!, -1, heads, headDim), past]);
  return reshaped(sum, -1, heads * headDim);
}

/** One token: `state · kept + timed ⊗ b`, and that times c. */
function scanStep(outer: Graph, heads: number, headDim: number, stateDim: number): Graph {
  const graph = outer.inner();
  const input = (...dims: readonly number[]) => {
    const name = graph.newName();
    graph.inputs.push({ name, type: "float32", dims });
    return name;
  };
  const state = input(heads, headDim, stateDim);
  const kept = input(heads, 1, 1);
  const timed = input(heads, headDim, 1);
  const b = input(heads, 1, stateDim);
  const c = input(heads, stateDim, 1);
  const after = graph.node("Add", [
    graph.node("Mul", [state, kept]),
    graph.node("Mul", [timed, b]),
  ]);
  const y = graph.node("MatMul", [after, c]);
  graph.outputs.push(
    { name: after, type: "float32", dims: [heads, headDim, stateDim] },
    { name: y, type: "float32", dims: [heads, headDim, 1] },
  );
  return graph;
}
