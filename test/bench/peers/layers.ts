import { ENGINES, type EngineName, type LayerRow } from "../../../src/cli/bench/peers.ts";
import { spreadOf } from "../../../src/cli/bench/spread.ts";
import { type GpuContext, openGpu } from "../../../src/gpu/device.ts";
import { GpuCounter } from "./gpu-counts.ts";
import { type MoeShape, type MoeWeights, moeReference, randomMoe } from "./moe-weights.ts";
import { createOnnxLayer, onnxThreads } from "./onnx-layer.ts";
import { createSluiceLayer, type MoeLayer } from "./sluice-layer.ts";

/** The layer that all figures before were measured with. */
const SHAPE: MoeShape = { hidden: 512, experts: 32, topK: 4, ffn: 256, maxTokens: 64 };

/** How many tokens go through it at once. */
const TOKENS = [1, 64];

/**
 * How far outputs may be from the layer in f64, over the largest of them: ONNX Runtime rounds activations to 8 bits, so
 * that one of its inputs of a product is off by up to 1/254 of the largest of its block.
 */
const MOST_ERROR = 0.05;

interface Runner {
  readonly engine: EngineName;
  create(weights: MoeWeights, tokens: number): Promise<MoeLayer>;
}

/** What was found, and on which adapter. */
export interface LayerComparison {
  readonly adapter: string;
  readonly rows: readonly LayerRow[];
}

/**
 * Runs the same layer in every engine that can, in turns, once its outputs were found to be right; with no `repeats` only
 * tells the adapter.
 */
export async function compareLayers(
  repeats: number,
  onStatus: (line: string) => void,
): Promise<LayerComparison> {
  const context = await openGpu(navigator.gpu);
  const counter = new GpuCounter();
  try {
    const rows: LayerRow[] = [];
    if (repeats === 0) return { adapter: context.adapterName, rows };
    const weights = randomMoe(SHAPE, 7);
    for (const tokens of TOKENS) {
      rows.push(...(await compareAt({ context, counter, weights, tokens, repeats }, onStatus)));
    }
    return { adapter: context.adapterName, rows };
  } finally {
    counter.dispose();
    context.dispose();
  }
}

interface Comparison {
  readonly context: GpuContext;
  readonly counter: GpuCounter;
  readonly weights: MoeWeights;
  readonly tokens: number;
  readonly repeats: number;
}

async function compareAt(
  { context, counter, weights, tokens, repeats }: Comparison,
  onStatus: (line: string) => void,
): Promise<LayerRow[]> {
  const runners: readonly Runner[] = [
    { engine: ENGINES.sluice, create: (...layer) => createSluiceLayer(context, ...layer) },
    { engine: ENGINES.ortWebgpu, create: (...layer) => createOnnxLayer(...layer, "webgpu") },
    { engine: ENGINES.ortWasm, create: (...layer) => createOnnxLayer(...layer, "wasm") },
  ];
  const wanted = moeReference(weights, tokens);
  const ready: { row: LayerRow; layer?: MoeLayer; ms: number[] }[] = [];
  for (const { engine, create } of runners) {
    onStatus(`${engine}: a layer of ${tokens} tokens`);
    try {
      const layer = await create(weights, tokens);
      const error = errorOf(await layer.outputs(), wanted);
      const counts = await counter.count(() => layer.run());
      const right = error <= MOST_ERROR;
      const row: LayerRow = {
        ...{ engine, tokens, error },
        ...(engine !== ENGINES.ortWasm && { counts }),
        ...(engine === ENGINES.ortWasm && { note: `${onnxThreads()} threads` }),
        ...(!right && { note: "Its outputs are wrong, so it is not timed." }),
      };
      ready.push({ row, ms: [], ...(right && { layer }) });
    } catch (error) {
      const note = `It does not run: ${error instanceof Error ? error.message : error}`;
      ready.push({ row: { engine, tokens, note }, ms: [] });
    }
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    onStatus(`${tokens} tokens, turn ${repeat + 1} of ${repeats}`);
    for (const { layer, ms } of ready) {
      if (!layer) continue;
      const started = performance.now();
      await layer.run();
      ms.push(performance.now() - started);
    }
  }
  for (const { layer } of ready) layer?.dispose();
  return ready.map(({ row, ms }) => ({ ...row, ...(ms.length > 0 && { ms: spreadOf(ms) }) }));
}

/** The largest difference, over the largest output. */
function errorOf(got: Float32Array, wanted: readonly number[]): number {
  const most = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  let error = 0;
  for (const [index, value] of wanted.entries()) {
    const difference = Math.abs(got[index]! - value);
    if (!(difference <= error)) error = difference;
  }
  return error / most;
}
