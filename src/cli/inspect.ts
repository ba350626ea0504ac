import { basename } from "node:path";
import { readContextFlag, readKvCacheFlag } from "./flags.ts";
import type { CommandContext } from "./generate.ts";
import { openLocation, readLocation } from "./location.ts";
import { type BudgetRow, type ModelReport, reportModel } from "./report.ts";
import { formatBytes, formatCount, formatTable } from "./units.ts";

/** The flags of `inspect`. */
export interface InspectFlags {
  readonly gpuBudget?: string;
  readonly context?: string;
  readonly kvCache?: string;
  readonly json?: boolean;
}

/** `sluice inspect MODEL`: reads the header only, and needs no GPU. */
export async function inspectCommand(
  model: string,
  flags: InspectFlags,
  { output, signal }: CommandContext,
): Promise<void> {
  const contextTokens = readContextFlag(flags.context);
  const kvCache = readKvCacheFlag(flags.kvCache);
  const source = await openLocation(readLocation(model), signal);
  try {
    const { gpuBudget } = flags;
    const report = await reportModel(source, { contextTokens, kvCache, gpuBudget, signal });
    if (flags.json) output.json(report);
    else output.text(`${describe(report)}\n`);
  } finally {
    await source.close?.();
  }
}

function describe({ model, tensors, expert, gpu, budgets }: ModelReport): string {
  const hasExperts = model.moeLayers > 0;
  const facts: readonly (readonly [string, string])[] = [
    ["file", `${basename(model.file)}, ${formatBytes(model.bytes)}`],
    ["name", model.name],
    ["architecture", model.architecture],
    ["parameters", formatCount(model.parameters)],
    ["layers", `${model.layers}, ${model.moeLayers} of them with experts`],
    ...(hasExperts ? expertFacts(model, expert) : []),
    ["hidden, vocabulary", `${model.hidden}, ${model.vocab}`],
    ["context", `${model.contextTokens} tokens planned for, ${model.trainedContextTokens} at most`],
    [
      "always on the GPU",
      `${formatBytes(gpu.residentBytes)}: weights ${formatBytes(gpu.weightBytes)}, ` +
        `KV cache ${formatBytes(gpu.kvCacheBytes)} (${gpu.kvCache}), scratch about ${formatBytes(gpu.scratchBytes)}`,
    ],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const tensorTable = formatTable([
    ["tensor", "format", "count", "weights", "bytes", "place"],
    ...tensors.map(({ name, format, count, weights, bytes, place }) => [
      ...[name, format, count, weights, bytes, place],
    ]),
  ]);
  const budgetTable = formatTable([
    ["GPU budget", "slots a layer", "experts", "GPU bytes"],
    ...budgets.map(budgetCells),
  ]);
  return [
    facts.map(([name, fact]) => `${name.padEnd(width)}  ${fact}`).join("\n"),
    tensorTable,
    ...(hasExperts ? [budgetTable] : []),
  ].join("\n\n");
}

function expertFacts(model: ModelReport["model"], expert: ModelReport["expert"]) {
  return [
    ["experts", `${model.experts} in a layer, ${model.topK} used by a token`],
    ["one expert", `${formatBytes(expert.bytes)} (${expert.formats.join(", ")})`],
    ["all experts", formatBytes(expert.allBytes)],
  ] as const;
}

function budgetCells(row: BudgetRow): (string | number)[] {
  if (row.error !== undefined) return [row.budget, "-", "-", row.error];
  const { budget, slots, residentExperts, totalExperts, gpuBytes } = row;
  const [least, most] = [Math.min(...slots), Math.max(...slots)];
  return [
    budget,
    least === most ? `${least}` : `${least} to ${most}`,
    `${residentExperts} of ${totalExperts}`,
    formatBytes(gpuBytes),
  ];
}
