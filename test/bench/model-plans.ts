// What published models would do in a few budgets of GPU memory: their shapes, traces recorded with this repository's
// models, and round costs of a GPU, replayed by the simulator.
//   node test/bench/run.mjs test/bench/model-plans.ts TRACE [TRACE ...]
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { SluiceError } from "../../src/errors.ts";
import type { PredictorName } from "../../src/experts/predictors/registry.ts";
import type { RoutingTrace } from "../../src/experts/trace.ts";
import { parseTrace } from "../../src/experts/trace-file.ts";
import { type GpuNeeds, parseBudget, planSlots } from "../../src/scheduler/budget.ts";
import { type CostModel, DEFAULT_COSTS } from "../../src/scheduler/simulation/cost-model.ts";
import { simulate } from "../../src/scheduler/simulation/simulator.ts";
import { type PublishedModel, publishedModels } from "../helpers/published/models.ts";

/** A published model, as the simulator takes it. */
interface Shape extends PublishedModel {
  /** Of the experts. */
  readonly format: string;
  readonly predictor: PredictorName | "none";
}

const Q8 = 1.0625;

const SHAPES: readonly Shape[] = [
  { ...publishedModels.smallThinker4b, format: "Q4_0", predictor: "pre-attention" },
  { ...publishedModels.olmoe, format: "Q4_K", predictor: "none" },
  { ...publishedModels.gptOss20b, format: "MXFP4", predictor: "none" },
  { ...publishedModels.smallThinker21b, format: "Q4_0", predictor: "pre-attention" },
  { ...publishedModels.qwen3Moe, format: "Q4_K", predictor: "none" },
];

const BUDGETS = ["2GB", "4GB", "8GB"];
const CONTEXT_TOKENS = 1024;
const RAM_BYTES = 8e9;

/** A GPU that reads 100 GB/s, and spends 40 µs on a dispatch: two for a layer's experts, six for what is before them. */
const GPU = { msPerByte: 1e-8, dispatchMs: 0.04, ofExperts: 2, beforeExperts: 6, besideLayers: 3 };

/** Uploads from RAM, in ms a byte: many small writes, and large ones. Both were measured; see `docs/measurements.md`. */
const UPLOADS = { slow: 1 / 0.5e6, fast: 1 / 5e6 };

export async function main(paths: string[]): Promise<void> {
  if (paths.length === 0) throw new Error("Give a trace or more: generate --trace writes one.");
  const traces = await Promise.all(
    paths.map(async (path) => [basename(path), parseTrace(await readFile(path, "utf8"))] as const),
  );
  const heads = BUDGETS.flatMap((budget) => [`${budget}: slots`, "hits", "tokens/s"]);
  for (const [name, trace] of traces) {
    console.log(`\n${name}: ${trace.tokens.length} tokens\n`);
    console.log(`| model | experts | ${heads.join(" | ")} |`);
    console.log(`| --- ${"| --- ".repeat(1 + heads.length)}|`);
    for (const shape of SHAPES) console.log(rowOf(shape, trace));
  }
}

function rowOf(shape: Shape, recorded: RoutingTrace): string {
  const needs = needsOf(shape);
  const trace = traceOf(shape, recorded, needs);
  const expertBytes = shape.experts * needs.recordBytes.reduce((sum, bytes) => sum + bytes, 0);
  const cells = BUDGETS.flatMap((budget) => {
    try {
      const { slotCounts } = planSlots({ ...needs, budget: parseBudget(budget) });
      const run = (uploadMsPerByte: number) =>
        simulate(trace, {
          slotCounts,
          policy: "lfu-decayed",
          predictor: shape.predictor,
          ramBudgetBytes: RAM_BYTES,
          diskFilled: true,
          costs: costsOf(shape, needs, uploadMsPerByte),
        });
      const [slow, fast] = [run(UPLOADS.slow), run(UPLOADS.fast)];
      const hits = Math.round((100 * slow.hits) / (slow.hits + slow.misses));
      const speeds = [slow, fast].map(({ tokensPerSecond }) => tokensPerSecond.toFixed(1));
      return [`${Math.min(...slotCounts)} of ${shape.experts}`, `${hits} %`, speeds.join(" to ")];
    } catch (error) {
      if (!(error instanceof SluiceError && error.code === "budget-too-small")) throw error;
      return ["too small", "", ""];
    }
  });
  return `| ${shape.name}, ${shape.format} | ${(expertBytes / 1e9).toFixed(1)} GB | ${cells.join(" | ")} |`;
}

/** What every token needs at 8 bits, keys and values in f32, and records as the file has them. */
function needsOf(shape: Shape): GpuNeeds {
  const { layers, hidden, heads, kvHeads, headDim, experts, topK, vocab, tied } = shape;
  const attention = layers * hidden * headDim * (2 * heads + 2 * kvHeads);
  const vocabulary = vocab * hidden * (tied ? 1 : 2);
  const kvBytes = layers * 2 * kvHeads * headDim * 4 * CONTEXT_TOKENS;
  const recordBytes = new Array<number>(layers).fill(shape.expected.expertBytes);
  return {
    residentBytes: Math.ceil((attention + vocabulary) * Q8 + kvBytes),
    recordBytes,
    experts,
    topK,
  };
}

/**
 * The recorded choices as a larger model's: its experts are blocks as large as the recorded model's layers, and each
 * block of each layer follows the choices of one recorded layer from another place of the text on.
 */
function traceOf(shape: Shape, recorded: RoutingTrace, needs: GpuNeeds): RoutingTrace {
  const { layers, experts, topK } = shape;
  const blocks = experts / recorded.experts;
  const count = recorded.tokens.length;
  const chosen = (at: number, layer: number, block: number): number[] => {
    const source = layer % recorded.layers.length;
    const round = Math.floor(layer / recorded.layers.length) * blocks + block;
    const { experts: ids } = recorded.tokens[(at + round * Math.floor(count / 7)) % count]!;
    const first = source * recorded.topK;
    const wanted = Math.floor((topK + blocks - 1 - block) / blocks);
    return ids.slice(first, first + wanted).map((id) => block * recorded.experts + id);
  };
  return {
    topK,
    experts,
    layers: Array.from({ length: layers }, (_, layer) => layer),
    recordBytes: needs.recordBytes,
    filled: true,
    routerInput: shape.predictor === "pre-attention" ? "pre-attention" : "post-attention",
    passes: new Array<number>(count).fill(1),
    tokens: recorded.tokens.map(({ token }, at) => ({
      token,
      experts: Array.from({ length: layers }, (_, layer) =>
        Array.from({ length: blocks }, (_, block) => chosen(at, layer, block)).flat(),
      ).flat(),
    })),
  };
}

function costsOf(shape: Shape, needs: GpuNeeds, uploadMsPerByte: number): CostModel {
  const { hidden, heads, kvHeads, headDim, topK, vocab } = shape;
  const { msPerByte, dispatchMs, ofExperts, beforeExperts, besideLayers } = GPU;
  const expertMs = topK * needs.recordBytes[0]! * msPerByte + dispatchMs * ofExperts;
  const attentionBytes = hidden * headDim * (2 * heads + 2 * kvHeads) * Q8;
  const attentionMs = attentionBytes * msPerByte + dispatchMs * beforeExperts;
  return {
    ...DEFAULT_COSTS,
    layerMs: attentionMs + expertMs,
    expertMs,
    skippedLayerMs: dispatchMs * (ofExperts + beforeExperts),
    passMs: vocab * hidden * Q8 * msPerByte + dispatchMs * besideLayers,
    uploadMs: 0,
    uploadMsPerByte,
    ramMsPerByte: 0,
  };
}
