import type { EngineStats } from "../../src/index.ts";
import { formatBytes, formatCount, formatMs, formatPercent, formatRate, plural } from "./format.ts";

/** A figure with its name. */
export interface NamedNumber {
  readonly label: string;
  readonly value: string;
}

const NONE = "–";

/** The figures of the last or current reply, the two that people ask for first. */
export function listNumbers(stats: EngineStats | undefined): readonly NamedNumber[] {
  if (!stats) return rows([NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE]);
  const chosen = stats.expertHits + stats.expertMisses;
  const share = chosen > 0 ? ` (${formatPercent((100 * stats.expertHits) / chosen)})` : "";
  return rows([
    stats.tokensPerSecond > 0 ? formatRate(stats.tokensPerSecond) : NONE,
    stats.firstTokenMs > 0 ? formatMs(stats.firstTokenMs) : NONE,
    `${formatCount(stats.expertHits)}${share}`,
    formatCount(stats.expertMisses),
    formatCount(stats.faults),
    formatMs(stats.stallMs),
    formatBytes(stats.bytesFromNetwork + stats.bytesFromDisk),
    formatBytes(stats.bytesUploaded),
    formatRate(stats.dispatchesPerToken),
    formatRate(stats.readbacksPerToken),
  ]);
}

/** What stands below a reply. */
export function describeReply(stats: EngineStats, ending: "stop" | "length" | "aborted"): string {
  const parts = [plural(stats.tokens, "token")];
  if (stats.tokensPerSecond > 0) parts.push(`${formatRate(stats.tokensPerSecond)} a second`);
  if (ending === "aborted") parts.push("stopped");
  if (ending === "length") parts.push("cut off at the longest reply");
  return parts.join(", ");
}

/** How much of the context a conversation fills; empty before the first reply. */
export function describeContext(used: number, contextTokens: number): string {
  return used > 0 ? `${formatCount(used)} of ${plural(contextTokens, "token")} of context` : "";
}

function rows(values: readonly string[]): readonly NamedNumber[] {
  return LABELS.map((label, index) => ({ label, value: values[index] ?? NONE }));
}

const LABELS = [
  "Tokens a second",
  "First token",
  "Expert hits",
  "Expert misses",
  "Faults",
  "Waited for experts",
  "Bytes read",
  "Bytes uploaded",
  "Dispatches a token",
  "Readbacks a token",
] as const;
