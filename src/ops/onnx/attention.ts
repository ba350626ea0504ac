import { BLOCK_NUMBERS, type CacheFormat } from "../../formats/cache/format.ts";
import { MICROSOFT } from "../../onnx/graph.ts";
import { checkWidth } from "../checks.ts";
import { valueDimOf } from "../kv-layout.ts";
import type { AttentionSpec, LatentAttentionSpec, LatentInputs, RopeSpec } from "../ops.ts";
import type { OnnxRecording, OnnxTensor } from "./recording.ts";

/** Records causal attention with a cache: see `Ops.attention`. */
export function recordAttention(
  recording: OnnxRecording,
  inputs: { readonly q: OnnxTensor; readonly k: OnnxTensor; readonly v: OnnxTensor },
  spec: AttentionSpec,
  format: CacheFormat,
): OnnxTensor {
  const { layer, heads, kvHeads, headDim, rope, norm } = spec;
  const { graph } = recording;
  const valueDim = valueDimOf(spec);
  const name = `attention of layer ${layer}`;
  const widths = [heads * headDim, kvHeads * headDim, kvHeads * valueDim] as const;
  const parts =
    spec.fused === undefined
      ? [recording.use(inputs.q), recording.use(inputs.k), recording.use(inputs.v)]
      : graph.manyOf("Split", [recording.use(inputs.q), graph.integers(...widths)], 3, { axis: 1 });
  if (spec.fused === undefined) {
    checkWidth(`queries of the ${name}`, inputs.q.width, widths[0]);
    checkWidth(`keys of the ${name}`, inputs.k.width, widths[1]);
    if (!spec.valuesInKeys) checkWidth(`values of the ${name}`, inputs.v.width, widths[2]);
  }
  const [q, k, v] = parts as [string, string, string];
  const queries = prepared(recording, q, heads, norm?.q, spec);
  const keys = prepared(recording, k, kvHeads, norm?.k, spec);
  const values = norm?.ofValues ? normedValues(recording, v, spec) : v;
  return attend(recording, { queries, keys, values, rope, spec, format });
}

/** Records attention over one cached row a token: see `Ops.latentAttention`. */
export function recordLatentAttention(
  recording: OnnxRecording,
  { q, absorbed, kv }: LatentInputs<OnnxTensor>,
  spec: LatentAttentionSpec,
  format: CacheFormat,
): OnnxTensor {
  const { heads, headDim, valueDim, rope, latent } = spec;
  const { graph } = recording;
  checkWidth(`latent attention of layer ${spec.layer}`, absorbed.width, heads * valueDim);
  checkWidth(`the cached row of layer ${spec.layer}`, kv.width, headDim);
  const share = q.width / heads;
  const ofHeads = (x: OnnxTensor, width: number) =>
    graph.node("Reshape", [recording.use(x), graph.integers(-1, heads, width)]);
  const [, turned] = graph.manyOf(
    "Split",
    [ofHeads(q, share), graph.integers(share - rope.dims, rope.dims)],
    2,
    { axis: 2 },
  );
  const joined = graph.node("Concat", [ofHeads(absorbed, valueDim), turned], { axis: 2 });
  const queries = rotated(recording, joined, heads, headDim, rope);
  const [compressed, end] = graph.manyOf(
    "Split",
    [recording.use(kv), graph.integers(valueDim, headDim - valueDim)],
    2,
    { axis: 1 },
  );
  const normed = recording.rmsNormed(
    compressed!,
    recording.vector(latent.norm, valueDim),
    latent.epsilon,
  );
  const row = graph.node("Concat", [normed, end], { axis: 1 });
  const ofRow = graph.node("Reshape", [row, graph.integers(-1, 1, headDim)]);
  const keys = rotated(recording, ofRow, 1, headDim, rope);
  return attend(recording, { queries, keys, values: undefined, rope, spec, format });
}

/** What queries go over. */
interface Attended {
  /** `[tokens, heads, headDim]`, normed and rotated. */
  readonly queries: string;
  /** `[tokens, kvHeads, headDim]`, normed and rotated. */
  readonly keys: string;
  /** `[tokens, kvHeads * valueDim]`; undefined where they are a part of the keys. */
  readonly values: string | undefined;
  readonly rope: RopeSpec | undefined;
  readonly spec: AttentionSpec;
  readonly format: CacheFormat;
}

/** Hands keys and values to the cache, and attends to what it holds then. */
function attend(recording: OnnxRecording, attended: Attended): OnnxTensor {
  const { queries, keys, values, spec, format } = attended;
  const { layer, heads, kvHeads, headDim, scale, softcap } = spec;
  const valueDim = valueDimOf(spec);
  const flat = (x: string, width: number) =>
    recording.tensor(
      recording.graph.node("Reshape", [x, recording.graph.integers(-1, width)]),
      width,
    );
  const q = flat(queries, heads * headDim);
  const k = recording.read(flat(keys, kvHeads * headDim));
  const v =
    spec.valuesInKeys || values === undefined
      ? undefined
      : recording.read(flat(values, kvHeads * valueDim));
  recording.read(q);
  recording.cut({ kind: "append", layer, keys: k, values: v });

  const { graph } = recording;
  const group = heads / kvHeads;
  // [tokens, heads * headDim] -> [kvHeads, group * tokens, headDim]
  const shape = graph.integers(-1, kvHeads, group, headDim);
  const grouped = graph.node("Reshape", [recording.use(q), shape]);
  const groupsFirst = graph.node("Transpose", [grouped], { perm: [1, 2, 0, 3] });
  const rows = graph.node("Reshape", [groupsFirst, graph.integers(kvHeads, -1, headDim)]);
  const cachedKeys = cached(recording, "keys", headDim, spec, format);
  const cachedValues =
    v === undefined
      ? firstOf(recording, cachedKeys, valueDim)
      : cached(recording, "values", valueDim, spec, format);
  let scores = recording.cachedProduct(rows, cachedKeys, { transposed: true, alpha: scale });
  if (softcap !== undefined) scores = capped(recording, scores, softcap);
  const mask = recording.input({ kind: "mask", layer }, "float32", ["tokens", `keys ${layer}`]);
  const perToken = graph.node(
    "Concat",
    [graph.integers(kvHeads, group), graph.node("Shape", [mask])],
    { axis: 0 },
  );
  const masked = graph.node("Add", [graph.node("Reshape", [scores, perToken]), mask]);
  const weights = softmax(recording, masked, spec);
  const flatWeights = graph.node("Reshape", [weights, graph.node("Shape", [scores])]);
  const means = recording.cachedProduct(flatWeights, cachedValues, { transposed: false });
  const perHead = graph.node("Reshape", [means, graph.integers(kvHeads, group, -1, valueDim)]);
  const tokensFirst = graph.node("Transpose", [perHead], { perm: [2, 0, 1, 3] });
  return flat(tokensFirst, heads * valueDim);
}

/** Softmax over keys, and over what each head attends to besides. scores `[kvHeads, group, tokens, keys]` */
function softmax(
  recording: OnnxRecording,
  scores: string,
  { heads, kvHeads, sinks }: AttentionSpec,
): string {
  const { graph } = recording;
  if (sinks === undefined) return graph.node("Softmax", [scores], { axis: -1 });
  const sink = recording.vector(sinks, heads, [kvHeads, heads / kvHeads, 1, 1]);
  const shape = graph.node("Shape", [scores], { start: 0, end: 3 });
  const ends = graph.node("Concat", [shape, graph.integers(1)], { axis: 0 });
  const column = graph.node("Expand", [sink, ends]);
  const all = graph.node("Concat", [scores, column], { axis: -1 });
  const weights = graph.node("Softmax", [all], { axis: -1 });
  return graph.node("Slice", [weights, graph.integers(0), graph.integers(-1), graph.integers(3)]);
}

/** `cap * tanh(x / cap)` */
export function capped(recording: OnnxRecording, x: string, cap: number): string {
  const { graph } = recording;
  const share = graph.node("Mul", [x, graph.scalar(1 / cap)]);
  return graph.node("Mul", [graph.node("Tanh", [share]), graph.scalar(cap)]);
}

/** Keys or values of the cache that the pass may see: `[keys, kvHeads, dim]`. */
function cached(
  recording: OnnxRecording,
  of: "keys" | "values",
  dim: number,
  { layer, kvHeads }: AttentionSpec,
  format: CacheFormat,
): string {
  const { graph } = recording;
  const padded = Math.ceil(dim / format.headNumbers) * format.headNumbers;
  const width = kvHeads * padded;
  const keys = `keys ${layer}`;
  const type = NUMBER_TYPES[format.bitsPerNumber]!;
  const input = (part: "numbers" | "scales", dims: readonly (number | string)[]) =>
    recording.input({ kind: "cache", layer, of, part }, part === "scales" ? "float32" : type, dims);
  let numbers = input("numbers", [keys, width]);
  if (type !== "float32") numbers = graph.node("Cast", [numbers], { to: FLOAT });
  if (format.scaled) {
    const shape = graph.integers(-1, width / BLOCK_NUMBERS, BLOCK_NUMBERS);
    const blocks = graph.node("Reshape", [numbers, shape]);
    numbers = graph.node("Mul", [blocks, input("scales", [keys, width / BLOCK_NUMBERS, 1])]);
  }
  const heads = graph.node("Reshape", [numbers, graph.integers(-1, kvHeads, padded)]);
  return padded === dim ? heads : firstOf(recording, heads, dim);
}

/** The number types of caches by their bits, and ONNX's number of the one that is computed with. */
const NUMBER_TYPES: Readonly<Record<number, "float32" | "float16" | "int8">> = {
  32: "float32",
  16: "float16",
  8: "int8",
};
const FLOAT = 1;

/** The first numbers of the last axis. */
function firstOf(recording: OnnxRecording, x: string, count: number): string {
  const { graph } = recording;
  return graph.node("Slice", [x, graph.integers(0), graph.integers(count), graph.integers(-1)]);
}

/** q or k, `[tokens, heads * headDim]`, normed and rotated: `[tokens, heads, headDim]`. */
function prepared(
  recording: OnnxRecording,
  x: string,
  heads: number,
  normName: string | undefined,
  { headDim, norm, rope }: AttentionSpec,
): string {
  const { graph } = recording;
  const shape = graph.integers(-1, heads, headDim);
  const ofHeads = (all: string) => graph.node("Reshape", [all, shape]);
  let parts: string;
  if (!norm || normName === undefined) parts = ofHeads(x);
  else if (norm.over === "head") {
    const weight = recording.vector(normName, headDim);
    parts = recording.rmsNormed(ofHeads(x), weight, norm.epsilon);
  } else {
    const weight = recording.vector(normName, heads * headDim);
    parts = ofHeads(recording.rmsNormed(x, weight, norm.epsilon));
  }
  return rope ? rotated(recording, parts, heads, headDim, rope) : parts;
}

/** Values normalised over each head, without weights: `[tokens, kvHeads * valueDim]`. */
function normedValues(recording: OnnxRecording, v: string, spec: AttentionSpec): string {
  const { graph } = recording;
  const valueDim = valueDimOf(spec);
  const ones = graph.holds("float32", [valueDim], () => new Float32Array(valueDim).fill(1));
  const shape = graph.integers(-1, spec.kvHeads, valueDim);
  const heads = graph.node("Reshape", [v, shape]);
  return recording.rmsNormed(heads, ones, spec.norm?.epsilon ?? 0);
}

/** Heads turned by their positions' angles. x `[tokens, heads, headDim]` */
function rotated(
  recording: OnnxRecording,
  x: string,
  heads: number,
  headDim: number,
  rope: RopeSpec,
): string {
  const { graph } = recording;
  const { dims, first = 0, pairing } = rope;
  if (first === 0) return rotatedAtOnce(recording, x, heads, headDim, rope);
  const behind = headDim - first - dims;
  const lengths = [first, dims, behind].filter((length) => length > 0);
  const pieces =
    lengths.length === 1
      ? [x]
      : graph.manyOf("Split", [x, graph.integers(...lengths)], lengths.length, { axis: 2 });
  const at = first > 0 ? 1 : 0;
  pieces[at] = turned(recording, pieces[at]!, rope, pairing);
  return pieces.length === 1 ? pieces[0]! : graph.node("Concat", pieces, { axis: 2 });
}

/** One operator rotates the first dimensions of all heads. x `[tokens, heads, headDim]` */
function rotatedAtOnce(
  recording: OnnxRecording,
  x: string,
  heads: number,
  headDim: number,
  rope: RopeSpec,
): string {
  const { graph } = recording;
  const batch = graph.node("Reshape", [x, graph.integers(1, -1, heads * headDim)]);
  const attributes = {
    interleaved: rope.pairing === "interleaved" ? 1 : 0,
    num_heads: heads,
    ...(rope.dims < headDim && { rotary_embedding_dim: rope.dims }),
  };
  // The angles are those of the pass's own positions: its first token is at their start.
  const inputs = [batch, graph.integers(0), ...anglesOf(recording, rope)];
  const turned = graph.node("RotaryEmbedding", inputs, attributes, MICROSOFT);
  return graph.node("Reshape", [turned, graph.integers(-1, heads, headDim)]);
}

/** Cosines and sines of the pass's positions: `[tokens, dims / 2]`. */
function anglesOf(recording: OnnxRecording, rope: RopeSpec): [string, string] {
  const part = (part: "cos" | "sin") =>
    recording.input({ kind: "angles", rope, part }, "float32", ["tokens", rope.dims / 2]);
  return [part("cos"), part("sin")];
}

/** x `[tokens, heads, dims]` */
function turned(
  recording: OnnxRecording,
  x: string,
  rope: RopeSpec,
  pairing: RopeSpec["pairing"],
): string {
  const { graph } = recording;
  const half = rope.dims / 2;
  const [cos, sin] = anglesOf(recording, rope).map((angles) =>
    graph.node("Unsqueeze", [angles, graph.integers(1)]),
  ) as [string, string];
  const interleaved = pairing === "interleaved";
  // Pairs side by side lie on an axis of their own: [tokens, heads, half, 2].
  const shaped = interleaved ? graph.node("Reshape", [x, graph.integers(0, 0, half, 2)]) : x;
  const [a, b] = graph.manyOf(
    "Split",
    [shaped, graph.integers(...(interleaved ? [1, 1] : [half, half]))],
    2,
    { axis: -1 },
  ) as [string, string];
  const drop = (y: string) => (interleaved ? graph.node("Squeeze", [y, graph.integers(3)]) : y);
  const [p, q] = [drop(a), drop(b)];
  const times = (y: string, z: string) => graph.node("Mul", [y, z]);
  const left = graph.node("Sub", [times(p, cos), times(q, sin)]);
  const right = graph.node("Add", [times(p, sin), times(q, cos)]);
  if (!interleaved) return graph.node("Concat", [left, right], { axis: 2 });
  const lift = (y: string) => graph.node("Unsqueeze", [y, graph.integers(3)]);
  const pairs = graph.node("Concat", [lift(left), lift(right)], { axis: 3 });
  return graph.node("Reshape", [pairs, graph.integers(0, 0, rope.dims)]);
}
