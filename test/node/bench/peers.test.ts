import { PbfReader } from "pbf";
import { describe, expect, test } from "vitest";
import {
  ENGINES,
  type PeersResult,
  peerSections,
  targetsOf,
} from "../../../src/cli/bench/peers.ts";
import { spreadOf } from "../../../src/cli/bench/spread.ts";
import { formatSections } from "../../../src/cli/bench/tables.ts";
import { moeReference, randomMoe } from "../../bench/peers/moe-weights.ts";
import { moeOnnx } from "../../bench/peers/onnx-moe.ts";
import { callSluice } from "../cli/run-sluice.ts";

const at = (value: number) => spreadOf([value]);

const RESULT: PeersResult = {
  adapter: "some adapter",
  layer: [
    {
      ...{ engine: ENGINES.sluice, tokens: 1, ms: at(10), error: 1e-7 },
      counts: { dispatches: 3, submits: 1, readbacks: 1, bindGroups: 0, bufferWrites: 1 },
    },
    { engine: ENGINES.ortWebgpu, tokens: 1, ms: at(200), error: 0.02 },
    { engine: ENGINES.sluice, tokens: 64, ms: at(500), error: 1e-7 },
    { engine: ENGINES.ortWebgpu, tokens: 64, ms: at(3000), error: 0.02 },
  ],
  model: [
    { engine: ENGINES.sluice, prefill: at(100), decode: at(50) },
    { engine: ENGINES.sluiceWasm, prefill: at(100), decode: at(75), note: "2 threads" },
    { engine: ENGINES.wllamaCpu, prefill: at(200), decode: at(100), note: "2 threads" },
    { engine: ENGINES.wllamaWebgpu, note: "It needs shader-f16, which this adapter lacks." },
  ],
};

describe("a comparison", () => {
  test("says of each target whether it is met, or that nobody can tell", () => {
    const targets = targetsOf(RESULT).map(({ wanted, ratio, met }) => ({ wanted, ratio, met }));

    expect(targets).toEqual([
      { wanted: 15, ratio: 20, met: true },
      { wanted: 10, ratio: 6, met: false },
      { wanted: 10, ratio: undefined, met: undefined },
      { wanted: 0.6, ratio: 0.75, met: true },
    ]);
  });

  test("tells times against Sluice's own, and why an engine has none", () => {
    const text = formatSections(peerSections(RESULT));

    expect(text).toMatch(/onnxruntime-web, WebGPU +1 +200 +200 +200 +20 /);
    expect(text).toMatch(/wllama, CPU +200 +200 +200 +0\.5 +100 +100 +100 +0\.5 +2 threads/);
    expect(text).toContain("It needs shader-f16");
    expect(text).toMatch(/10 +6 +NOT met/);
    expect(text).toMatch(/10 +not measured/);
  });
});

describe("the layer that engines are compared by", () => {
  const shape = { hidden: 64, experts: 4, topK: 2, ffn: 32, maxTokens: 3 };

  test("is the same for the same seed, and its outputs spread by about 1", () => {
    const weights = randomMoe(shape, 3);
    const y = moeReference(weights, 3);

    expect(moeReference(randomMoe(shape, 3), 3)).toEqual(y);
    const deviation = Math.sqrt(y.reduce((sum, value) => sum + value * value, 0) / y.length);
    expect(deviation).toBeGreaterThan(0.2);
    expect(deviation).toBeLessThan(5);
  });

  test("has gate and up in turn in its ONNX graph, two quants a byte", () => {
    const weights = randomMoe(shape, 3);
    const data = initializersOf(moeOnnx(weights));

    const { gate, up } = weights.experts[1]!;
    const rowBytes = shape.hidden / 2;
    const expert = data.get("w1")!.subarray(1 * 2 * shape.ffn * rowBytes);
    const nibble = (row: number, col: number) => {
      const byte = expert[row * rowBytes + (col >> 1)]!;
      return col % 2 === 0 ? byte & 15 : byte >> 4;
    };
    for (const [row, col] of [
      [0, 0],
      [0, 1],
      [5, 63],
    ] as const) {
      expect(nibble(2 * row, col)).toBe(gate.quants[row * shape.hidden + col]);
      expect(nibble(2 * row + 1, col)).toBe(up.quants[row * shape.hidden + col]);
    }
    // The router as [hidden, experts].
    const router = new Float32Array(data.get("router")!.slice().buffer);
    expect(router[5 * shape.experts + 3]).toBe(weights.router[3 * shape.hidden + 5]);
    expect(data.get("w2")!.length).toBe((shape.experts * shape.hidden * shape.ffn) / 2);
  });
});

/** Names and bytes of an ONNX model's weights: field 7 of a model, 5 of a graph, 8 and 9 of a tensor. */
function initializersOf(model: Uint8Array): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const readTensor = (tag: number, tensor: { name: string; data: Uint8Array }, pbf: PbfReader) => {
    if (tag === 8) tensor.name = pbf.readString();
    else if (tag === 9) tensor.data = pbf.readBytes();
  };
  const readGraph = (tag: number, all: typeof found, pbf: PbfReader) => {
    if (tag !== 5) return;
    const { name, data } = pbf.readMessage(readTensor, { name: "", data: new Uint8Array() });
    all.set(name, data);
  };
  new PbfReader(model).readFields((tag, all, pbf) => {
    if (tag === 7) pbf.readMessage(readGraph, all);
  }, found);
  return found;
}

describe("sluice bench --peers", () => {
  const model = "test/models/sluice-tiny.gguf";

  test("needs a browser", async () => {
    const { status, stderr } = await callSluice(["bench", model, "--peers", "--runtime", "dawn"]);

    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/browser/) });
  });

  test("needs a checkout, which has the other engines", async () => {
    const { status, stderr } = await callSluice(["bench", model, "--peers"]);

    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/checkout/) });
  });
});
