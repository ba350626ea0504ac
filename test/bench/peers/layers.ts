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

/**
 * How many of the tokens may come out wrong for an engine to be timed: one that does other work than was asked for is not.
 * onnxruntime-web 1.30 on WebGPU gets 1 or 2 of the first tokens wrong, others each time, when it is given 4 or more.
 */
const MOST_WRONG = 0.1;

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
      const errors = errorsOf(await layer.outputs(), wanted, tokens);
      const counts = await counter.count(() => layer.run());
      const right = errors.filter((error) => error <= MOST_ERROR);
      const wrong = tokens - right.length;
      const isTimed = wrong <= MOST_WRONG * tokens;
      const row: LayerRow = {
        ...{ engine, tokens, error: Math.max(0, ...right) },
        ...(engine !== ENGINES.ortWasm && { counts }),
        ...(engine === ENGINES.ortWasm && { note: `${onnxThreads()} threads` }),
        ...(wrong > 0 && {
          note: `${wrong} of ${tokens} tokens came out wrong${isTimed ? "" : ": it is not timed"}.`,
        }),
      };
      ready.push({ row, ms: [], ...(isTimed && { layer }) });
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

/** For each token the largest difference, over the largest output of all. */
function errorsOf(got: Float32Array, wanted: readonly number[], tokens: number): number[] {
  const most = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const width = wanted.length / tokens;
  const errors = new Array<number>(tokens).fill(0);
  for (const [index, value] of wanted.entries()) {
    const token = Math.floor(index / width);
    const error = Math.abs(got[index]! - value) / most;
    if (!(error <= errors[token]!)) errors[token] = error;
  }
  return errors;
}
