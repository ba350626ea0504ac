import type { EngineProfile, KernelRow, ModelInfo, PassProfile } from "../../rpc/api.ts";
import { formatBytes, formatTable } from "../units.ts";
import type { Spread } from "./spread.ts";
import type { BenchResult, PhaseReport } from "./task.ts";

/** A table: the first row is its head. Numbers are set to the right. */
export type Table = readonly (readonly (string | number)[])[];

/** A titled table of a report. */
export interface Section {
  readonly title: string;
  readonly rows: Table;
  /** A sentence below it. */
  readonly note?: string;
}

const NO_KERNELS =
  "Kernels can be timed on WebGPU alone, so there is no table of them: WebAssembly computed here.";

/** Everything that a bench found, as tables. */
export function sectionsOf(model: ModelInfo, result: BenchResult): Section[] {
  const { adapter, profile } = result;
  const { name, architecture, layers, experts, topK } = model;
  const deep = layers === 1 ? "1 layer" : `${layers} layers`;
  const shape = experts > 0 ? `${deep}, ${experts} experts top-${topK}` : deep;
  const what = `${name} (${architecture}, ${shape}) on ${adapter}`;
  const depths =
    result.depths.length > 0
      ? [{ title: "decode by tokens in the KV cache", rows: depthTable(result) }]
      : [];
  if (!profile)
    return [{ title: what, rows: plainSpeedTable(result), note: NO_KERNELS }, ...depths];
  return [
    { title: `${what}, ${describeVariants(result.variants)}`, rows: speedTable(result) },
    ...depths,
    { title: "the device's measured ceilings", rows: ceilingTable(profile) },
    { title: "the least time of a pass, by each ceiling", rows: floorTable(profile, result) },
    {
      title: kernelTitle("a decoded token", profile.decode, profile),
      rows: kernelTable(profile.decode),
    },
    {
      title: kernelTitle("a prefill chunk", profile.prefill, profile),
      rows: kernelTable(profile.prefill),
    },
  ];
}

/** Which kernels ran, as `--variants` takes them. */
export function describeVariants(variants: BenchResult["variants"]): string {
  const [first, ...others] = new Set(Object.values(variants));
  if (others.length === 0) return `${first} kernels`;
  const pairs = Object.entries(variants).map(([family, name]) => `${family}=${name}`);
  return `kernels ${pairs.join(",")}`;
}

/** `sections` for a terminal. */
export function formatSections(sections: readonly Section[]): string {
  return sections
    .map(({ title, rows, note }) => `${title}\n\n${formatTable(rows)}\n${noteText(note)}`)
    .join("\n");
}

/** `sections` as Markdown. */
export function markdownSections(sections: readonly Section[]): string {
  return sections
    .map(
      ({ title, rows, note }) =>
        `${title.charAt(0).toUpperCase()}${title.slice(1)}:\n\n${markdownTable(rows)}\n${noteText(note)}`,
    )
    .join("\n");
}

function noteText(note: string | undefined): string {
  return note === undefined ? "" : `\n${note}\n`;
}

/** A table in Markdown. */
export function markdownTable([head = [], ...rows]: Table): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** The speeds alone: where there is no GPU, nothing is asked of it. */
function plainSpeedTable(result: BenchResult): Table {
  return speedTable(result).map((cells) => cells.slice(0, SPEED_CELLS));
}

/** Cells of a speed's row: its name, and the speed's spread. */
const SPEED_CELLS = 4;

function speedTable({ prefill, decode }: BenchResult): Table {
  const row = (name: string, phase: PhaseReport) => [
    name,
    ...spreadCells(phase.tokensPerSecond),
    rounded(phase.dispatches),
    rounded(phase.submits),
    rounded(phase.readbacks),
    formatBytes(Math.round(phase.bytesWritten)),
    formatBytes(phase.bytesOfExperts),
  ];
  return [
    [
      ...["", "tokens/s", "least", "most", "dispatches", "submits", "readbacks"],
      ...["written", "experts up"],
    ],
    row(`a prompt of ${prefill.tokens} tokens`, prefill),
    row("a decoded token", decode),
  ];
}

function depthTable({ depths }: BenchResult): Table {
  return [
    ["tokens", "tokens/s", "least", "most"],
    ...depths.map(({ depth, tokensPerSecond }) => [depth, ...spreadCells(tokensPerSecond)]),
  ];
}

function spreadCells({ median, least, most }: Spread): number[] {
  return [median, least, most].map(rounded);
}

function ceilingTable({ ceilings }: EngineProfile): Table {
  return [
    ["ceiling", "measured"],
    ["copy, read and written", `${formatBytes(Math.round(ceilings.copyBytesPerSecond))}/s`],
    ["f32 multiply-adds", `${(ceilings.multiplyAddsPerSecond / 1e9).toPrecision(3)} billion/s`],
    ["a dispatch", `${rounded(ceilings.dispatchMicroseconds)} µs`],
    ["a readback", `${rounded(ceilings.readbackMilliseconds)} ms`],
    ["uploads", `${formatBytes(Math.round(ceilings.uploadBytesPerSecond))}/s`],
  ];
}

function floorTable(profile: EngineProfile, { decode, prefill }: BenchResult): Table {
  const row = (name: string, pass: PassProfile, measuredMs: number) => {
    const { bytesMs, multiplyAddsMs, dispatchesMs } = pass.floor;
    return [
      name,
      formatBytes(Math.round(pass.bytes)),
      millions(pass.multiplyAdds),
      pass.dispatches,
      rounded(bytesMs),
      rounded(multiplyAddsMs),
      rounded(dispatchesMs),
      rounded(pass.microseconds / 1000),
      rounded(measuredMs),
    ];
  };
  const msOf = (tokens: number, { tokensPerSecond }: PhaseReport) =>
    (1000 * tokens) / tokensPerSecond.median;
  return [
    [
      ...["", "GPU memory", "million multiply-adds", "dispatches"],
      ...["ms by bytes", "by multiply-adds", "by dispatches", "ms of kernels", "measured"],
    ],
    row("a decoded token", profile.decode, msOf(1, decode)),
    row(
      `a chunk of ${profile.prefill.tokens}`,
      profile.prefill,
      msOf(profile.prefill.tokens, prefill),
    ),
  ];
}

function kernelTitle(what: string, { tokens, position }: PassProfile, profile: EngineProfile) {
  const how = profile.method === "timestamp-query" ? "GPU timestamps" : "repetition";
  const of = tokens === 1 ? "" : ` of ${tokens} tokens`;
  return `kernels of ${what}${of} behind ${position}, timed by ${how}`;
}

/** A pass's rows with all layers together, the longest first. */
export function byKernel({ rows }: Pick<PassProfile, "rows">): Omit<KernelRow, "layer">[] {
  const kernels = new Map<string, KernelRow[]>();
  for (const row of rows) kernels.set(row.kernel, [...(kernels.get(row.kernel) ?? []), row]);
  return [...kernels.values()]
    .map((group) => {
      const sum = (key: "count" | "microseconds" | "bytes" | "multiplyAdds") =>
        group.reduce((all, row) => all + row[key], 0);
      const microseconds = sum("microseconds");
      const floor = group.reduce((all, row) => all + row.ofCeiling * row.microseconds, 0);
      const longest = group.reduce((a, b) => (b.microseconds > a.microseconds ? b : a));
      return {
        kernel: longest.kernel,
        count: sum("count"),
        microseconds,
        bytes: sum("bytes"),
        multiplyAdds: sum("multiplyAdds"),
        boundBy: longest.boundBy,
        ofCeiling: microseconds > 0 ? floor / microseconds : 0,
      };
    })
    .sort((a, b) => b.microseconds - a.microseconds);
}

function kernelTable(pass: PassProfile): Table {
  return [
    [
      "kernel",
      "dispatches",
      "µs",
      "% of all",
      "kB",
      "million multiply-adds",
      "bound by",
      "% of it",
    ],
    ...byKernel(pass).map((row) => [
      row.kernel,
      row.count,
      rounded(row.microseconds),
      rounded((100 * row.microseconds) / pass.microseconds),
      rounded(row.bytes / 1000),
      millions(row.multiplyAdds),
      row.boundBy,
      rounded(100 * row.ofCeiling),
    ]),
  ];
}

function millions(count: number): number {
  return rounded(count / 1e6);
}

/** Three digits are more than times are good for. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
