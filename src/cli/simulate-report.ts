import { SluiceError } from "../errors.ts";
import type { RoutingTrace } from "../experts/trace.ts";
import { type GpuNeeds, parseBudget, planSlots } from "../scheduler/budget.ts";
import type { CostModel } from "../scheduler/simulation/cost-model.ts";
import type { SimulationResult } from "../scheduler/simulation/result.ts";
import { simulate } from "../scheduler/simulation/simulator.ts";
import type { SimulateSettings } from "./simulate-flags.ts";
import { formatBytes, formatTable } from "./units.ts";

/** What `simulate --json` prints. */
export interface SimulationReport {
  readonly trace: {
    readonly tokens: number;
    readonly layers: number;
    readonly experts: number;
    readonly topK: number;
  };
  readonly settings: SimulateSettings;
  readonly costs: CostModel;
  readonly rows: readonly SimulationRow[];
  readonly advice: string;
}

/** One budget with one policy: what came of it, or why it does not work. */
export type SimulationRow =
  | {
      readonly gpuBudget: string;
      readonly policy: SimulateSettings["policies"][number];
      /** Of each pool. */
      readonly slots: readonly number[];
      /** Everything on the GPU; the slots alone where no model was given. */
      readonly gpuBytes: number;
      readonly result: SimulationResult;
      readonly error?: undefined;
    }
  | {
      readonly gpuBudget: string;
      readonly policy: SimulateSettings["policies"][number];
      readonly error: string;
    };

type GoodRow = Extract<SimulationRow, { readonly result: SimulationResult }>;

/** Of the best speed, what a smaller budget may lack and still be the better choice. */
const GOOD_ENOUGH = 0.9;

/** Replays the trace with every budget and policy. Throws "budget-too-small" when no budget works. */
export function runSimulations(
  trace: RoutingTrace,
  needs: GpuNeeds,
  settings: SimulateSettings,
  costs: CostModel,
): SimulationReport {
  const rows = settings.gpuBudgets.flatMap((gpuBudget) =>
    settings.policies.map((policy) => runOne(trace, needs, settings, costs, { gpuBudget, policy })),
  );
  const good = rows.filter((row): row is GoodRow => row.error === undefined);
  const [first] = rows;
  if (good.length === 0 && first?.error !== undefined) {
    throw new SluiceError("budget-too-small", first.error);
  }
  return {
    trace: {
      tokens: trace.tokens.length,
      layers: trace.layers.length,
      experts: trace.experts,
      topK: trace.topK,
    },
    settings,
    costs,
    rows,
    advice: advise(good),
  };
}

function runOne(
  trace: RoutingTrace,
  needs: GpuNeeds,
  settings: SimulateSettings,
  costs: CostModel,
  row: Pick<SimulationRow, "gpuBudget" | "policy">,
): SimulationRow {
  try {
    const plan = planSlots({ ...needs, budget: parseBudget(row.gpuBudget) });
    const { ramBudgetBytes, diskBudgetBytes, predictor, pacing, cold } = settings;
    // Who comes for the first time has nothing on the GPU either.
    const started = cold ? { ...trace, filled: false } : trace;
    const result = simulate(started, {
      slotCounts: plan.slotCounts,
      recordBytes: needs.recordBytes,
      policy: row.policy,
      ramBudgetBytes,
      diskBudgetBytes,
      predictor,
      pacing,
      diskFilled: !cold,
      costs,
    });
    return { ...row, slots: plan.slotCounts, gpuBytes: plan.gpuBytes, result };
  } catch (error) {
    if (!(error instanceof SluiceError) || error.code !== "budget-too-small") throw error;
    return { ...row, error: error.message };
  }
}

/** One sentence: the smallest budget that is nearly as fast as the fastest. */
function advise(rows: readonly GoodRow[]): string {
  const real = rows.filter(({ policy }) => policy !== "belady");
  if (real.length === 0) {
    return "Belady's rule knows the future and is only a bound: add --policy to see what can be had.";
  }
  const speed = ({ result }: GoodRow) => result.tokensPerSecond;
  const fastest = Math.max(...real.map(speed));
  if (fastest === 0) {
    return "The trace has no token that was generated one by one: record one with a longer reply to learn about speed.";
  }
  const enough = real.filter((row) => speed(row) >= GOOD_ENOUGH * fastest);
  const best = enough.reduce((best, row) =>
    row.gpuBytes < best.gpuBytes || (row.gpuBytes === best.gpuBytes && speed(row) > speed(best))
      ? row
      : best,
  );
  const gain = Math.round(100 * (fastest / speed(best) - 1));
  const rest = gain > 0 ? `; nothing else tried is more than ${gain} % faster` : "";
  return (
    `By these costs, --gpu-budget ${best.gpuBudget} --policy ${best.policy} is enough: ` +
    `${speed(best).toPrecision(3)} tokens a second with ${formatBytes(best.gpuBytes)} on the GPU and ` +
    `${percent(hitRate(best.result))} of the experts found there${rest}.`
  );
}

/** The report as text: a table, with `layers` one of each layer's hit rate, and the advice. */
export function describeSimulation(
  { trace, settings, rows, advice }: SimulationReport,
  options: { readonly layers: boolean },
): string {
  const { tokens, layers, experts, topK } = trace;
  const { predictor, pacing, ramBudgetBytes, diskBudgetBytes, cold } = settings;
  const head =
    `${tokens} tokens, ${layers} MoE layers, ${topK} of ${experts} experts a token; predictor ${predictor}, ` +
    `pacing ${pacing}, RAM ${formatBytes(ramBudgetBytes)}, disk ${formatBytes(diskBudgetBytes)}` +
    `${cold ? ", nothing stored yet" : ""}`;
  const table = formatTable([
    [
      "GPU budget",
      "policy",
      "slots",
      "GPU",
      "hits",
      "tokens/s",
      "ms p50",
      "ms p95",
      "faults",
      "MB up",
      "stall",
    ],
    ...rows.map((row) => cellsOf(row, tokens)),
  ]);
  const legend = "faults and MB uploaded are those of one token; stall is the share of the time.";
  return [head, table, ...(options.layers ? [layerTable(rows)] : []), legend, advice].join("\n\n");
}

function cellsOf(row: SimulationRow, tokens: number): (string | number)[] {
  if (row.error !== undefined) return [row.gpuBudget, row.policy, "-", row.error];
  const { gpuBudget, policy, slots, gpuBytes, result } = row;
  const [least, most] = [Math.min(...slots), Math.max(...slots)];
  return [
    gpuBudget,
    policy,
    least === most ? `${least}` : `${least} to ${most}`,
    formatBytes(gpuBytes),
    percent(hitRate(result)),
    result.tokensPerSecond.toFixed(1),
    result.tokenMs.p50.toFixed(1),
    result.tokenMs.p95.toFixed(1),
    (result.faults / tokens).toFixed(2),
    (result.bytesUploaded / tokens / 1e6).toFixed(2),
    percent(result.totalMs > 0 ? result.stallMs / result.totalMs : 0),
  ];
}

/** A row for each layer, a column for each budget and policy. */
function layerTable(rows: readonly SimulationRow[]): string {
  const good = rows.filter((row): row is GoodRow => row.error === undefined);
  const layers = good[0]?.result.layers ?? [];
  return formatTable([
    ["layer", ...good.map(({ gpuBudget, policy }) => `${gpuBudget} ${policy}`)],
    ...layers.map(({ layer }, moe) => [
      String(layer),
      ...good.map(({ result }) => percent(hitRate(result.layers[moe]!))),
    ]),
  ]);
}

function hitRate({ hits, misses }: { readonly hits: number; readonly misses: number }): number {
  return hits + misses > 0 ? hits / (hits + misses) : 0;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
