import { parseArgs } from "node:util";
import { createRandom, normalArray } from "../../src/numeric/random.ts";
import { Graph, MICROSOFT, Names } from "../../src/onnx/graph.ts";
import { type CompiledGraph, type HostTensor, OnnxRuntime } from "../../src/onnx/runtime.ts";

/** A matrix of a small expert, in blocks of so many weights. */
const [ROWS, COLS, BLOCK] = [512, 512, 32] as const;

/** Tokens that are multiplied at once. */
const TOKENS = [1, 64] as const;

/** A way to multiply; what it is given at each run is copied to where it computes, as experts are. */
interface Way {
  readonly name: string;
  readonly bitsPerWeight: number;
  record(graph: Graph, give: Give): string;
}

type Give = (type: HostTensor["type"], dims: readonly number[]) => string;

const given = (graph: Graph, give: Give) => ({
  x: give("float32", [0, COLS]),
  quants: give("int8", [COLS, ROWS]),
  scales: give("float32", [COLS / BLOCK, ROWS]),
  graph,
});

const WAYS: readonly Way[] = [
  {
    name: "MatMul of f32",
    bitsPerWeight: 32,
    record: (graph, give) =>
      graph.node("MatMul", [give("float32", [0, COLS]), give("float32", [COLS, ROWS])]),
  },
  {
    name: "DequantizeLinear of int8, MatMul",
    bitsPerWeight: 9,
    record(graph, give) {
      const { x, quants, scales } = given(graph, give);
      const weights = graph.node("DequantizeLinear", [quants, scales], {
        axis: 0,
        block_size: BLOCK,
      });
      return graph.node("MatMul", [x, weights]);
    },
  },
  {
    name: "MatMulNBits, 4 bits",
    bitsPerWeight: 5,
    record: (graph, give) => nBits(graph, give, 4),
  },
  {
    name: "MatMulNBits, 8 bits",
    bitsPerWeight: 9,
    record: (graph, give) => nBits(graph, give, 8),
  },
  {
    name: "MatMulInteger of int8, inputs rounded to 8 bits",
    bitsPerWeight: 9,
    record(graph, give) {
      const { x, quants, scales } = given(graph, give);
      const blocks = COLS / BLOCK;
      const split = graph.node("Reshape", [x, graph.integers(-1, blocks, BLOCK)]);
      const inputs = graph.node("Transpose", [split], { perm: [1, 0, 2] });
      const [rounded, scale, zero] = graph.manyOf("DynamicQuantizeLinear", [inputs], 3);
      const matrices = graph.node("Reshape", [quants, graph.integers(blocks, BLOCK, ROWS)]);
      const sums = graph.node("MatMulInteger", [rounded, matrices, zero]);
      const floats = graph.node("Cast", [sums], { to: 1 });
      const each = graph.node("Reshape", [scales, graph.integers(blocks, 1, ROWS)]);
      const scaled = graph.node("Mul", [floats, each]);
      const y = graph.node("ReduceSum", [scaled, graph.integers(0)], { keepdims: 0 });
      return graph.node("Mul", [y, scale]);
    },
  },
];

function nBits(graph: Graph, give: Give, bits: number): string {
  const x = give("float32", [0, COLS]);
  const quants = give("uint8", [ROWS, COLS / BLOCK, (BLOCK * bits) / 8]);
  const scales = give("float32", [ROWS, COLS / BLOCK]);
  const attributes = { K: COLS, N: ROWS, bits, block_size: BLOCK, accuracy_level: 4 };
  return graph.node("MatMulNBits", [x, quants, scales], attributes, MICROSOFT);
}

interface ReadyWay {
  readonly way: Way;
  readonly compiled: CompiledGraph;
  readonly inputs: readonly {
    readonly name: string;
    readonly type: HostTensor["type"];
    dims: readonly number[];
  }[];
}

/** Times each way to multiply with weights that onnxruntime-web is given at each run, in turns; milliseconds. */
export async function main(flags: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...flags],
    options: {
      rounds: { type: "string", default: "200" },
    },
  });
  const runtime = await OnnxRuntime.load();
  const ready: ReadyWay[] = [];
  for (const way of WAYS) ready.push(await prepare(runtime, way));
  for (const tokens of TOKENS) {
    const times = await timeInTurns(
      ready,
      tokens,
      Math.ceil(Number(values.rounds) / tokens ** 0.5),
    );
    for (const [index, { way }] of ready.entries()) {
      const sorted = times[index]!.sort((a, b) => a - b);
      const [least, median] = [sorted[0]!, sorted[sorted.length >> 1]!];
      console.log(
        `${tokens} tokens, ${way.name} (${way.bitsPerWeight} bits a weight): median ${median.toFixed(3)}, least ${least.toFixed(3)}`,
      );
    }
  }
}

async function prepare(runtime: OnnxRuntime, way: Way): Promise<ReadyWay> {
  const graph = new Graph(new Names());
  const inputs: ReadyWay["inputs"][number][] = [];
  const y = way.record(graph, (type, dims) => {
    const name = graph.newName();
    graph.inputs.push({ name, type, dims: dims.map((dim) => dim || "tokens") });
    inputs.push({ name, type, dims });
    return name;
  });
  graph.outputs.push({ name: y, type: "float32", dims: ["tokens", ROWS] });
  return { way, compiled: await runtime.compile(graph, { folds: false }), inputs };
}

async function timeInTurns(
  ready: readonly ReadyWay[],
  tokens: number,
  rounds: number,
): Promise<number[][]> {
  const feeds = ready.map(
    ({ inputs }) => new Map(inputs.map((input) => [input.name, random(input, tokens)])),
  );
  const times: number[][] = ready.map(() => []);
  for (let round = -2; round < rounds; round++) {
    for (const [index, { compiled }] of ready.entries()) {
      const started = performance.now();
      await compiled.run(feeds[index]!);
      if (round >= 0) times[index]!.push(performance.now() - started);
    }
  }
  return times;
}

function random({ type, dims }: ReadyWay["inputs"][number], tokens: number): HostTensor {
  const own = dims.map((dim) => dim || tokens);
  const numbers = normalArray(
    createRandom(1),
    own.reduce((a, b) => a * b),
  );
  if (type === "float32") return { type, data: numbers, dims: own };
  const bytes = type === "int8" ? Int8Array : Uint8Array;
  const data = new bytes(numbers.length);
  for (const [index, number] of numbers.entries()) data[index] = 40 * number;
  return { type, data, dims: own };
}
