import type { LoadProgress } from "../../src/index.ts";
import { formatBytes } from "./format.ts";

/** A step of loading as the page lists it. */
export interface LoadStep {
  readonly label: string;
  readonly state: "waiting" | "running" | "done";
  /** Bytes, while it runs and once it is done; empty where there are none. */
  readonly bytes: string;
}

/** How far a load is: the last report of each phase, in the order in which they came. */
export type LoadReports = readonly LoadProgress[];

const STEPS = [
  { phase: "header", label: "Header", counts: true },
  { phase: "weights", label: "Weights", counts: true },
  { phase: "pipelines", label: "Pipelines", counts: false },
  { phase: "experts", label: "Experts", counts: true },
] as const;

/** The reports with a new one in place of the older one of its phase. */
export function addReport(reports: LoadReports, report: LoadProgress): LoadReports {
  return [...reports.filter((other) => other.phase !== report.phase), report];
}

/**
 * The four steps, as they stand. The one that was heard of last runs; those heard of before are done. Experts go on
 * arriving when all else is ready.
 */
export function listSteps(reports: LoadReports): readonly LoadStep[] {
  const current = reports.at(-1)?.phase;
  const ready = reports.some((report) => report.phase === "ready");
  return STEPS.map(({ phase, label, counts }): LoadStep => {
    const report = reports.find((other) => other.phase === phase);
    const counted = counts ? report : undefined;
    if (phase === current) return { label, state: "running", bytes: describeBytes(counted) };
    if (!report && !ready) return { label, state: "waiting", bytes: "" };
    return { label, state: "done", bytes: formatBytesOf(counted) };
  });
}

/** How much of the current step is done, 0 to 1; undefined when it counts no bytes. */
export function stepFraction(reports: LoadReports): number | undefined {
  const last = reports.at(-1);
  if (last?.phase === "ready") return 1;
  if (!last || last.totalBytes <= 0 || last.phase === "pipelines") return undefined;
  return Math.min(1, last.loadedBytes / last.totalBytes);
}

function describeBytes(report: LoadProgress | undefined): string {
  if (!report || report.loadedBytes <= 0) return "";
  if (report.totalBytes <= 0) return formatBytes(report.loadedBytes);
  return `${formatBytes(report.loadedBytes)} of ${formatBytes(report.totalBytes)}`;
}

function formatBytesOf(report: LoadProgress | undefined): string {
  return report && report.loadedBytes > 0 ? formatBytes(report.loadedBytes) : "";
}
