import { basename } from "node:path";
import { KeptTunings, type Tuning } from "../engine/tuning/kept.ts";
import { SluiceError } from "../errors.ts";
import { readContextFlag, readKvCacheFlag } from "./flags.ts";
import type { CommandContext } from "./generate.ts";
import { DEFAULT_BINDING_BYTES, describeLimit } from "./limits.ts";
import { openLocation, readLocation } from "./location.ts";
import { type BudgetRow, type ModelReport, reportModel } from "./report.ts";
import { supported } from "./supported.ts";
import { tuningsFile } from "./tunings.ts";
import { formatBytes, formatCount, formatTable } from "./units.ts";

/** The flags of `inspect`. */
export interface InspectFlags {
  readonly gpuBudget?: string;
  readonly context?: string;
  readonly supported?: boolean;
  readonly kvCache?: string;
  readonly json?: boolean;
}

/**
 * `sluice inspect MODEL`: reads the header only, and needs no GPU. `sluice inspect --supported` tells what can be loaded.
 * Throws "bad-input" for neither or both, and what `reportModel` throws.
 */
export async function inspectCommand(
  model: string | undefined,
  flags: InspectFlags,
  { output, signal }: CommandContext,
): Promise<void> {
  if (model === undefined || flags.supported) {
    if (model !== undefined || !flags.supported) {
      throw new SluiceError("bad-input", "inspect takes either a model or --supported.");
    }
    if (flags.json) output.json(supported());
    else output.text(`${describeSupported()}\n`);
    return;
  }
  const contextTokens = readContextFlag(flags.context);
  const kvCache = readKvCacheFlag(flags.kvCache);
  const source = await openLocation(readLocation(model), signal);
  try {
    const { gpuBudget } = flags;
    const report = await reportModel(source, { contextTokens, kvCache, gpuBudget, signal });
    const variants = await findTunings(report.model.shape);
    if (flags.json) output.json({ ...report, variants });
    else output.text(`${[describe(report), ...describeTunings(variants)].join("\n\n")}\n`);
  } finally {
    await source.close?.();
  }
}

/** What each adapter that was timed here runs such a model with, and since when. */
interface KeptVariants {
  readonly adapter: string;
  readonly runtime: string;
  /** What its products multiply: `products in int8`. */
  readonly products: string;
  readonly variants: Tuning["choice"];
  readonly medianMs: Tuning["medians"];
  readonly atMs: number;
}

/** What the command keeps for models of a shape; nothing where its file cannot be read. */
async function findTunings(shape: string): Promise<KeptVariants[]> {
  const all = await new KeptTunings(tuningsFile()).all();
  return [...all]
    .filter(([key]) => key.includes(` | model ${shape}`))
    .map(([key, { choice, medians, atMs }]) => {
      const [adapter = "", runtime = "", , , products = ""] = key.split(" | ");
      return { adapter, runtime, products, variants: choice, medianMs: medians, atMs };
    });
}

function describeTunings(tunings: readonly KeptVariants[]): string[] {
  if (tunings.length === 0) return [];
  const rows = tunings.map(({ adapter, runtime, products, variants }) => {
    const names = Object.entries(variants).map(([family, name]) => `${family}=${name}`);
    return `variants on ${adapter}, ${runtime}, ${products}:\n  ${names.join(",")}`;
  });
  return [rows.join("\n")];
}

/** Columns of a terminal that nobody has made wider. */
const WIDTH = 100;

function describeSupported(): string {
  const kinds = Object.entries(supported());
  const indent = 2 + Math.max(...kinds.map(([kind]) => kind.length));
  return kinds
    .map(
      ([kind, names]) =>
        kind.padEnd(indent) + wrapped(names, indent).join(`\n${" ".repeat(indent)}`),
    )
    .join("\n");
}

/** Names in lines that end before {@link WIDTH} when they start at column `indent`. */
function wrapped(names: readonly string[], indent: number): string[] {
  const lines: string[] = [];
  for (const [index, name] of names.entries()) {
    const word = index < names.length - 1 ? `${name},` : name;
    const last = lines.at(-1);
    if (last === undefined || indent + last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function describe({ model, tensors, expert, gpu, limits, budgets }: ModelReport): string {
  const hasExperts = model.moeLayers > 0;
  const facts: readonly (readonly [string, string])[] = [
    ["file", `${basename(model.file)}, ${formatBytes(model.bytes)}${inFiles(model.files)}`],
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
        `KV cache ${formatBytes(gpu.kvCacheBytes)} (${gpu.kvCache}), ` +
        (gpu.stateBytes > 0 ? `recurrent state ${formatBytes(gpu.stateBytes)}, ` : "") +
        `scratch ${formatBytes(gpu.scratchBytes)}`,
    ],
    ...limits.map(
      (row) => [`over ${formatBytes(DEFAULT_BINDING_BYTES)}`, describeLimit(row)] as const,
    ),
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

function inFiles(count: number): string {
  return count > 1 ? ` in ${count} files` : "";
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
