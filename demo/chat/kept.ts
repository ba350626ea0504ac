import type { StorageReport, StoredModel, VerifyReport } from "../../src/index.ts";
import { formatBytes, formatCount, plural } from "./format.ts";

/** What the page knows about the models that are kept on this device. */
export interface Kept {
  /** Undefined before the first list. */
  readonly report: StorageReport | undefined;
  /** The model that something is done to. */
  readonly busy: string | undefined;
  /** The model whose deletion waits for a yes. */
  readonly asking: string | undefined;
  /** What the last button that was pressed came to. */
  readonly answer: string;
}

/** Nothing is known yet. */
export const NOTHING_KEPT: Kept = {
  report: undefined,
  busy: undefined,
  asking: undefined,
  answer: "",
};

/** A model in a line or two, below its name. */
export function describeKept(model: StoredModel, now: number): string {
  const { bytes, fileBytes, records, totalRecords, lastUsed, inUse } = model;
  const experts =
    records === totalRecords
      ? `all ${plural(totalRecords, "expert")}`
      : `${formatCount(records)} of ${plural(totalRecords, "expert")}`;
  return [
    `${formatBytes(bytes)} for a file of ${formatBytes(fileBytes)}`,
    ...(totalRecords > 0 ? [experts] : []),
    inUse ? "in use now" : `last used ${formatAgo(lastUsed, now)}`,
  ].join(", ");
}

/** Why a model cannot be deleted; empty when it can. */
export function whyNotDelete(model: StoredModel): string {
  return model.inUse
    ? "It is loaded, here or in another tab. Load another model there to delete this one."
    : "";
}

/** What the head of the panel says. */
export function summariseKept(report: StorageReport | undefined): string {
  if (!report) return "";
  if (report.models.length === 0) return "Nothing yet";
  const bytes = report.models.reduce((sum, model) => sum + model.bytes, 0);
  return `${plural(report.models.length, "model")}, ${formatBytes(bytes)}`;
}

/** What this site takes of the browser's storage; empty where the browser does not say. */
export function describeQuota({ usedBytes, quotaBytes }: StorageReport): string {
  return quotaBytes > 0
    ? `${formatBytes(usedBytes)} used of the ${formatBytes(quotaBytes)} that the browser allows this site.`
    : "";
}

/** What was found when a model was checked. */
export function describeVerified(name: string, { checked, damaged }: VerifyReport): string {
  if (damaged === 0) return `${name}: ${plural(checked, "piece")} checked, all whole.`;
  const were = damaged === 1 ? "1 was" : `${formatCount(damaged)} were`;
  return `${name}: ${plural(checked, "piece")} checked; ${were} damaged and dropped, to be fetched again when needed.`;
}

/** What the browser answered when it was asked to keep this site's storage. */
export function describePersisted(agreed: boolean): string {
  return agreed
    ? "The browser will keep these models until you delete them."
    : "The browser did not agree: it may delete these models when the device runs out of space. Many browsers agree once the page is bookmarked or installed.";
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long ago something was, in words; a date when it was more than a month. */
export function formatAgo(at: number, now: number): string {
  const ms = now - at;
  if (ms < MINUTE_MS) return "just now";
  if (ms < HOUR_MS) return `${plural(Math.floor(ms / MINUTE_MS), "minute")} ago`;
  if (ms < DAY_MS) return `${plural(Math.floor(ms / HOUR_MS), "hour")} ago`;
  if (ms < 31 * DAY_MS) return `${plural(Math.floor(ms / DAY_MS), "day")} ago`;
  return `on ${new Date(at).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" })}`;
}
