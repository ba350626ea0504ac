import fc from "fast-check";
import { beforeAll, describe, expect } from "vitest";
import { HostKvCache } from "../../../src/engine/onnx/kv-rows.ts";
import { cacheFormats } from "../../../src/formats/cache/registry.ts";
import { weightParts } from "../../../src/formats/parts.ts";
import { attention, attentionKeys, attentionRows } from "../../../src/kernels/attention.ts";
import { gatedUnit } from "../../../src/kernels/gated_unit.ts";
import { matmul, TILE_TOKENS } from "../../../src/kernels/matmul.ts";
import { matvec, NO_VECTOR } from "../../../src/kernels/matvec.ts";
import {
  activationParts,
  inputParts,
  matricesParts,
  rowDotsConstants,
  rowDotsParts,
} from "../../../src/kernels/parts.ts";
import { rmsNorm } from "../../../src/kernels/rms_norm.ts";
import { createRandom } from "../../../src/numeric/random.ts";
import { Graph, Names } from "../../../src/onnx/graph.ts";
import { type HostTensor, OnnxRuntime } from "../../../src/onnx/runtime.ts";
import { planKvCache } from "../../../src/ops/kv-layout.ts";
import { recordAttention } from "../../../src/ops/onnx/attention.ts";
import { product } from "../../../src/ops/onnx/products.ts";
import { OnnxRecording } from "../../../src/ops/onnx/recording.ts";
import { gatedUnit as onnxUnit } from "../../../src/ops/onnx/units.ts";
import { holdMatrix } from "../../../src/ops/onnx/weights.ts";
import type { ActivationName } from "../../../src/ops/ops.ts";
import { cacheNumbers, packCache } from "../../helpers/kv-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { type Bounded, expectWithin } from "../../helpers/within.ts";
import { attentionReference } from "../../reference/kernels/attention.ts";
import { gatedUnitReference } from "../../reference/kernels/gated_unit.ts";
import { productReference } from "../../reference/kernels/product.ts";
import { rmsNormReference } from "../../reference/kernels/rms_norm.ts";
import {
  allFormatCases,
  padded,
  randomInput,
  randomMatrix,
  someCols,
  variantCases,
} from "./cases.ts";

/*
 * Kernels beside onnxruntime-web, which computes the same in WebAssembly by code that is not ours. Both are in f32, so each may
 * be as far from the exact value as the kernel's own test allows: they differ by twice that at most.
 */

/**
 * onnxruntime-web's sigmoid and tanh are rational functions: right to a few of the last places of 1, however near to 0 the value is.
 */
const APPROXIMATED = 4 * 2 ** -24;

let runtime: OnnxRuntime;
beforeAll(async () => {
  runtime = await OnnxRuntime.load();
});

/** Fails unless two results in f32 agree, of which each may be so far from what is exact. */
function expectAgree(ours: ArrayLike<number>, theirs: ArrayLike<number>, { bounds }: Bounded) {
  expectWithin(ours, { values: theirs, bounds: Float64Array.from(bounds, (bound) => 2 * bound) });
}

/** A matrix `[tokens, width]` of a pass. */
const rows = (data: Float32Array, width: number): HostTensor => ({
  ...{ type: "float32", data, dims: [data.length / width, width] },
});

/** What onnxruntime-web makes of inputs `[tokens, width]` by the operators that are recorded. */
async function compute(
  inputs: readonly (readonly [Float32Array, number])[],
  record: (graph: Graph, inputs: readonly string[]) => string,
): Promise<Float32Array> {
  const graph = new Graph(new Names());
  const given = inputs.map(([data, width]) => {
    const name = graph.newName();
    graph.inputs.push({ name, type: "float32", dims: ["tokens", width] });
    return [name, rows(data, width)] as const;
  });
  const names = given.map(([name]) => name);
  const y = record(graph, names);
  graph.outputs.push({ name: y, type: "float32", dims: ["tokens", "width"] });
  const compiled = await runtime.compile(graph, { folds: false });
  try {
    return (await compiled.run(given)).get(y)!.data as Float32Array;
  } finally {
    await compiled.dispose();
  }
}

describe.for(allFormatCases)("products of $format.name, $name", ({ format, variant }) => {
  kernelTest("agree with those of onnxruntime-web", async ({ run }) => {
    const shape = fc.record({
      rows: fc.constantFrom(1, 5, 13, 65),
      cols: fc.constantFrom(...someCols(format)),
      tokens: fc.integer({ min: 1, max: TILE_TOKENS + 2 }),
      expands: fc.boolean(),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ rows: count, cols, tokens, expands, seed }) => {
        const random = createRandom(seed);
        const { packed, weights } = randomMatrix(random, format, count, cols);
        const x = randomInput(random, tokens * cols);
        const common = {
          weights: packed,
          control: { tokens },
          buffers: {
            x: padded(x, Math.ceil(tokens / TILE_TOKENS) * TILE_TOKENS * cols),
            ...{ vectors: 16, residual: 16, y: 4 * count * tokens },
          },
        };
        const plain = {
          cols,
          first_row: 0,
          all_rows: count,
          has_residual: 0,
          scale: 1,
          epsilon: 0,
        };

        const batch = await run(matmul, {
          ...common,
          params: { ...plain, rows: count, bias: NO_VECTOR },
          parts: [...weightParts(format), inputParts.plain, variant.batch.reduce],
          constants: variant.batch.constants,
        });
        const single = await run(matvec, {
          ...common,
          params: {
            ...plain,
            ...{ rows_a: count, rows_b: 0, rows_c: 0 },
            ...{ bias_a: NO_VECTOR, bias_b: NO_VECTOR, bias_c: NO_VECTOR },
          },
          parts: [
            ...rowDotsParts(format, "a"),
            ...[matricesParts[0]!, inputParts.plain, variant.matrix.reduce],
          ],
          constants: rowDotsConstants(variant.matrix),
        });
        const theirs = await compute([[x, cols]], (graph, [input]) => {
          const held = { rows: count, cols, format, planes: () => packed };
          return product(graph, input!, holdMatrix(graph, held, expands).matrix, cols);
        });

        const exact = productReference(weights, x, cols);
        // Mins are summed apart there, which rounds what cancels.
        const bounds = format.integers?.hasMins
          ? productReference(weights.map(spreadOf(weights)), x.map(Math.abs), cols).bounds
          : exact.bounds;
        expectAgree(batch.y.floats, theirs, { values: exact.values, bounds });
        expectAgree(single.y.floats, theirs, { values: exact.values, bounds });
      }),
      { numRuns: runs(3) },
    );
  });
});

/** A number that no scaled weight nor min of a matrix exceeds, nor both together. */
function spreadOf(weights: ArrayLike<number>): () => number {
  const most = Array.from(weights).reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  return () => 4 * most;
}

describe.for(variantCases)("norms, $name", ({ variant: { norm } }) => {
  kernelTest("agree with those of onnxruntime-web", async ({ run }) => {
    const shape = fc.record({
      width: fc.constantFrom(4, 52, 512, 1028),
      tokens: fc.integer({ min: 1, max: 4 }),
      seed: fc.integer(),
    });
    const epsilon = Math.fround(1e-5);
    await fc.assert(
      fc.asyncProperty(shape, async ({ width, tokens, seed }) => {
        const random = createRandom(seed);
        const x = randomInput(random, tokens * width);
        const weight = randomInput(random, width);

        const { y } = await run(rmsNorm, {
          params: { width, epsilon, has_residual: 0, has_scale: 0 },
          buffers: { x, weight, residual: 16, scale: 16, y: 4 * width * tokens },
          parts: [norm.reduce],
          constants: norm.constants,
          control: { tokens },
        });
        const theirs = await compute([[x, width]], (graph, [input]) =>
          graph.node(
            "SimplifiedLayerNormalization",
            [input!, graph.holds("float32", [width], () => weight)],
            { axis: -1, epsilon: { float: epsilon }, stash_type: 1 },
          ),
        );

        expectAgree(y.floats, theirs, rmsNormReference(x, weight, epsilon));
      }),
      { numRuns: runs(6) },
    );
  });
});

describe.for(Object.keys(activationParts) as ActivationName[])("gated units, %s", (activation) => {
  kernelTest("agree with those of onnxruntime-web", async ({ run }) => {
    const shape = fc.record({
      width: fc.constantFrom(1, 64, 131),
      tokens: fc.integer({ min: 1, max: 4 }),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ width, tokens, seed }) => {
        const random = createRandom(seed);
        const gate = randomInput(random, tokens * width);
        const up = randomInput(random, tokens * width);

        const { y } = await run(gatedUnit, {
          params: { width },
          buffers: { gate, up, y: 4 * width * tokens },
          parts: [activationParts[activation]],
          control: { tokens },
        });
        const theirs = await compute(
          [
            [gate, width],
            [up, width],
          ],
          (graph, [a, b]) => onnxUnit(graph, a!, b!, activation),
        );

        const { values, bounds } = gatedUnitReference(gate, up, activation);
        const allowed = Float64Array.from(bounds, (bound, index) => {
          if (activation === "relu") return bound;
          return bound + APPROXIMATED * Math.abs(gate[index]!) * (Math.abs(up[index]!) + 1);
        });
        expectAgree(y.floats, theirs, { values, bounds: allowed });
      }),
      { numRuns: runs(6) },
    );
  });
});

describe.for(["one", "four"] as const)("attention, %s queries a workgroup", (queries) => {
  const LANES = 8;
  const [tile, span] = [4 * LANES, 64 * 4 * LANES];
  const CONTEXT = 64;

  kernelTest("agrees with that of onnxruntime-web", async ({ run }) => {
    const shape = fc.record({
      heads: fc.constantFrom(
        { heads: 1, kvHeads: 1, headDim: 4 },
        { heads: 4, kvHeads: 2, headDim: 32 },
        { heads: 6, kvHeads: 2, headDim: 64 },
      ),
      position: fc.integer({ min: 0, max: 50 }),
      tokens: fc.integer({ min: 1, max: 6 }),
      window: fc.constantFrom(CONTEXT, 7, 33),
      softcap: fc.constantFrom(0, 3),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ heads: own, position, tokens, window, softcap, seed }) => {
        const { heads, kvHeads, headDim } = own;
        const random = createRandom(seed);
        const scale = Math.fround(1 / Math.sqrt(headDim));
        const spec = { ...own, layer: 0, scale, window, ...(softcap > 0 && { softcap }) };
        const format = cacheFormats.f32;
        const layout = planKvCache(spec, format, CONTEXT);
        const width = kvHeads * headDim;
        const keys = randomInput(random, CONTEXT * width);
        const values = randomInput(random, CONTEXT * width);
        const q = randomInput(random, tokens * heads * headDim);

        const numbers = new Float32Array(cacheNumbers(layout));
        numbers.set(keys);
        numbers.set(values, 4 * layout.valuesFirst);
        const { out } = await run(attention, {
          params: {
            ...{ heads, kv_heads: kvHeads, key_quads: headDim / 4, value_quads: headDim / 4 },
            ...{ key_head_quads: layout.keyHeadQuads, key_row_quads: layout.keyRowQuads },
            ...{ value_head_quads: layout.valueHeadQuads, value_row_quads: layout.valueRowQuads },
            ...{ value_shift: 0, values_first: layout.valuesFirst },
            ...{ key_scales: layout.keyScales, value_scales: layout.valueScales },
            ...{ rows: layout.rows, window, span_keys: span, splits: 0 },
            ...{ tile_rows: attentionRows[queries].rows, has_sinks: 0, scale, softcap },
          },
          buffers: { q, sinks: 16, out: 4 * tokens * heads * headDim },
          weights: new Uint8Array(packCache(format, layout, numbers).buffer),
          parts: [format.read, attentionRows[queries].part, attentionKeys.four.part],
          constants: { LANES, GROUPS: 1 },
          control: { tokens, position },
        });

        const cache = new HostKvCache(spec, format, {
          contextTokens: CONTEXT,
          chunkTokens: CONTEXT,
        });
        const seenRows = (position + tokens) * width;
        cache.keys.write(0, keys.subarray(0, seenRows));
        cache.values!.write(0, values.subarray(0, seenRows));
        const theirs = await attendInWasm(spec, cache, { q, position, tokens });

        const exact = attentionReference({
          ...{
            heads,
            kvHeads,
            keyDim: headDim,
            valueDim: headDim,
            scale,
            softcap,
            window,
            position,
          },
          ...{ keyStep: headDim, keyStride: width, valueStep: headDim, valueStride: width },
          ...{ valuesFirst: 4 * layout.valuesFirst, rows: layout.rows, sinks: undefined },
          ...{ q, cache: numbers, tile, span },
        });
        expectAgree(out.floats, theirs, exact);
      }),
      { numRuns: runs(8) },
    );
  });
});

/** What the recorded attention makes of queries and of what is cached. */
async function attendInWasm(
  spec: Parameters<typeof recordAttention>[2],
  cache: HostKvCache,
  {
    q,
    position,
    tokens,
  }: { readonly q: Float32Array; readonly position: number; readonly tokens: number },
): Promise<Float32Array> {
  const none = () => {
    throw new Error("unreachable: this attention has no weights");
  };
  const recording = new OnnxRecording({ matrix: none, values: none, rowsOf: none, expands: true });
  const width = spec.heads * spec.headDim;
  const kvWidth = spec.kvHeads * spec.headDim;
  const inputs = {
    q: recording.hostTensor(width),
    k: recording.hostTensor(kvWidth),
    v: recording.hostTensor(kvWidth),
  };
  const y = recordAttention(recording, inputs, spec, cacheFormats.f32);
  const { steps, logits } = recording.finish([], y);
  const graphs = steps.filter((step) => step.kind === "graph");
  const { first, count } = cache.seen(position, tokens);
  const made = new Map<string, HostTensor>([
    [inputs.q.name, rows(q, width)],
    ...[inputs.k, inputs.v].map(
      ({ name }) => [name, rows(new Float32Array(tokens * kvWidth), kvWidth)] as const,
    ),
  ]);
  for (const { graph, inputs: given } of graphs) {
    const compiled = await runtime.compile(graph, { folds: true });
    const feeds = given.map(({ name, source }): [string, HostTensor] => {
      if (source.kind === "mask") return [name, cache.mask(position, tokens)];
      if (source.kind !== "cache") return [name, made.get(name)!];
      const { keys, values } = cache;
      return [name, (source.of === "keys" ? keys : values!).read(first, count)[source.part]];
    });
    for (const [name, tensor] of await compiled.run(feeds)) made.set(name, tensor);
    await compiled.dispose();
  }
  const result = made.get(logits);
  expect(result).toBeDefined();
  return result!.data as Float32Array;
}
