import { SluiceError } from "../../errors.ts";
import type { ExpertCache } from "../../experts/expert-cache.ts";
import { cacheFormats } from "../../formats/cache/registry.ts";
import type { ModelSpec } from "../../models/model.ts";
import type { HostTensor, OnnxRuntime } from "../../onnx/runtime.ts";
import type { HostStep, OnnxProgram } from "../../ops/onnx/program.ts";
import { OnnxOps } from "../../ops/onnx-ops.ts";
import type { MoeSpec, RopeSpec } from "../../ops/ops.ts";
import { stateValues } from "../../ops/recurrent.ts";
import type { ExpertVectors } from "../../routing/choose.ts";
import type { GpuNeeds } from "../../scheduler/budget.ts";
import { ropeAngles, ropeFactors } from "../rope.ts";
import type { HostWeights } from "./host-weights.ts";
import type { OnnxModelOptions } from "./onnx-model.ts";
import { type CompiledStep, type OnnxPassParts, stateKey } from "./onnx-pass.ts";

/** Records the forward pass. Throws "shape-mismatch". */
export function recordProgram(
  spec: ModelSpec,
  weights: HostWeights,
  options: OnnxModelOptions,
): OnnxProgram {
  const ops = new OnnxOps({
    weights,
    moe: spec.moe,
    kvCache: cacheFormats[options.kvCache],
    guesses: options.predictor.needsGpuGuesses,
  });
  spec.forward(ops);
  return ops.finish();
}

/** Makes the graphs ready one by one; each one's weights are given up before those of the next are expanded. */
export async function compileSteps(
  runtime: OnnxRuntime,
  { steps }: OnnxProgram,
  weights: HostWeights,
  compiled: CompiledStep[],
): Promise<readonly (CompiledStep | HostStep)[]> {
  const ready: (CompiledStep | HostStep)[] = [];
  const tables = new Set<string>();
  for (const step of steps) {
    if (step.kind !== "graph") {
      if (step.kind === "embed") tables.add(step.table);
      ready.push(step);
      continue;
    }
    const { graph, ...rest } = step;
    const done = { ...rest, compiled: await runtime.compile(graph, { folds: weights.expands }) };
    compiled.push(done);
    ready.push(done);
  }
  weights.keepOnly(tables);
  return ready;
}

/** Throws "out-of-memory" where slots would take more than may be taken unasked. */
export function checkRoom(
  { residentBytes, recordBytes }: GpuNeeds,
  cache: ExpertCache,
  { budget, memoryLimitBytes }: OnnxModelOptions,
): void {
  if (budget) return;
  const slots = recordBytes.reduce((sum, bytes, pool) => sum + bytes * cache.slotCount(pool), 0);
  if (residentBytes + slots <= memoryLimitBytes) return;
  throw new SluiceError(
    "out-of-memory",
    `The model takes ${residentBytes + slots} bytes of memory, of which ${memoryLimitBytes} are assumed to be free. Give a budget.`,
  );
}

/** Every recurrent layer's state before the first token. */
export function statesOf({ recurrent }: ModelSpec): Map<string, HostTensor> {
  const states = new Map<string, HostTensor>();
  for (const spec of recurrent) {
    const { inputs, scan } = stateValues(spec);
    const channels = inputs / (spec.taps - 1);
    states.set(stateKey(spec.layer, "inputs"), {
      type: "float32",
      data: new Float32Array(inputs),
      dims: [spec.taps - 1, channels],
    });
    if (scan === undefined || spec.kind !== "mamba2") continue;
    states.set(stateKey(spec.layer, "scan"), {
      type: "float32",
      data: new Float32Array(scan),
      dims: [spec.heads, spec.headDim, spec.stateDim],
    });
  }
  return states;
}

/** What a layer's router knows of its experts. */
export function vectorsOf(
  { selectionBias, expertScale }: MoeSpec,
  weights: HostWeights,
): ExpertVectors {
  const values = (name: string | undefined) =>
    name === undefined ? undefined : weights.values(name);
  return { selectionBias: values(selectionBias), scale: values(expertScale) };
}

/** Looks up cosines and sines, which are computed when they are first asked for. */
export function angleTables(weights: HostWeights, contextTokens: number): OnnxPassParts["angles"] {
  const tables = new Map<string, Record<"cos" | "sin", Float32Array>>();
  // Specs that say the same share a table; each is written out once.
  const known = new WeakMap<RopeSpec, Record<"cos" | "sin", Float32Array>>();
  return (rope: RopeSpec, part) => {
    const found = known.get(rope);
    if (found) return found[part];
    const key = JSON.stringify(rope);
    let table = tables.get(key);
    if (!table) {
      const tensor = ropeFactors(rope, contextTokens);
      const factors = tensor === undefined ? undefined : weights.values(tensor);
      const pairs = ropeAngles(rope, contextTokens, factors as Float32Array<ArrayBuffer>);
      const every = (first: number) =>
        Float32Array.from({ length: pairs.length / 2 }, (_, index) => pairs[2 * index + first]!);
      table = { cos: every(0), sin: every(1) };
      tables.set(key, table);
    }
    known.set(rope, table);
    return table[part];
  };
}
