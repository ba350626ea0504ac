import { readFile } from "node:fs/promises";
import { SluiceError } from "../errors.ts";
import { poolsOf, type RoutingTrace } from "../experts/trace.ts";
import { parseTrace } from "../experts/trace-file.ts";
import type { GpuNeeds } from "../scheduler/budget.ts";
import { type CostModel, DEFAULT_COSTS, parseCosts } from "../scheduler/simulation/cost-model.ts";
import { readContextFlag, readKvCacheFlag } from "./flags.ts";
import type { CommandContext } from "./generate.ts";
import { openLocation, readLocation } from "./location.ts";
import { planModel } from "./report.ts";
import { readSettings, type SimulateFlags } from "./simulate-flags.ts";
import { describeSimulation, runSimulations } from "./simulate-report.ts";

/**
 * `sluice simulate TRACE`: what budgets, policies, a predictor and a pacing rule would have made of a recorded run. Needs
 * no GPU; of `--model` it reads the header only.
 * Throws "not-found", "bad-file", "bad-input", and "budget-too-small" when no budget works.
 */
export async function simulateCommand(
  path: string,
  flags: SimulateFlags,
  { output, signal }: CommandContext,
): Promise<void> {
  const trace = parseTrace(await readText(path, "the trace"));
  if (trace.tokens.length === 0 || trace.layers.length === 0) {
    throw new SluiceError(
      "bad-input",
      `${path}: the trace is empty. Record one with generate --trace on a model with experts.`,
    );
  }
  const costs: CostModel =
    flags.costs === undefined ? DEFAULT_COSTS : parseCosts(await readText(flags.costs, "--costs"));
  const needs =
    flags.model === undefined ? needsOf(trace) : await readNeeds(trace, flags.model, flags, signal);
  const settings = readSettings(flags, trace, needs);
  const report = runSimulations(trace, needs, settings, costs);
  if (flags.json) output.json(report);
  else output.text(`${describeSimulation(report, { layers: flags.layers === true })}\n`);
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new SluiceError("not-found", `${path}: the file of ${what} cannot be read.`, { cause });
  }
}

/** What a trace says of the GPU's needs: its records. Throws "bad-input" when it does not hold their bytes. */
function needsOf({ recordBytes, experts, topK }: RoutingTrace): GpuNeeds {
  if (!recordBytes) {
    throw new SluiceError(
      "bad-input",
      "This trace does not tell how large an expert is: give the model it was recorded with as --model MODEL.",
    );
  }
  return { residentBytes: 0, recordBytes, experts, topK };
}

/** The model's needs, from its header. Throws "bad-input" when the trace is another model's. */
async function readNeeds(
  trace: RoutingTrace,
  model: string,
  { context, kvCache }: SimulateFlags,
  signal: AbortSignal,
): Promise<GpuNeeds> {
  const source = await openLocation(readLocation(model), signal);
  try {
    const { needs } = await planModel(source, {
      contextTokens: readContextFlag(context),
      kvCache: readKvCacheFlag(kvCache),
      signal,
    });
    const pools = new Set(poolsOf(trace)).size;
    const { experts, topK, recordBytes } = needs;
    if (experts !== trace.experts || topK !== trace.topK || recordBytes.length !== pools) {
      throw new SluiceError(
        "bad-input",
        `The trace has ${pools} pools of ${trace.experts} experts, ${trace.topK} a token; the model of --model has ` +
          `${recordBytes.length} of ${experts}, ${topK} a token. Give the model that the trace was recorded with.`,
      );
    }
    return needs;
  } finally {
    await source.close?.();
  }
}
