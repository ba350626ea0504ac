import type { EngineStats } from "../../src/index.ts";
import { formatBytes, formatCount, formatMs, formatPercent, formatRate, plural } from "./format.ts";
import { type RuntimeName, WORDS } from "./words.ts";

/** A figure with its name. */
export interface NamedNumber {
  readonly label: string;
  readonly value: string;
}

const NONE = "–";

/** Figures that belong together. */
export interface NumberGroup {
  readonly title: string;
  readonly rows: readonly NamedNumber[];
}

/** The figures of the last or current reply that people ask for first. */
export function listNumbers(
  stats: EngineStats | undefined,
  runtime: RuntimeName,
): readonly NamedNumber[] {
  const above = (value: number, format: (value: number) => string) =>
    value > 0 ? format(value) : NONE;
  return [
    row("Tokens a second", stats && above(stats.tokensPerSecond, formatRate)),
    row("First token", stats && above(stats.firstTokenMs, formatMs)),
    row(WORDS[runtime].found, stats && formatHitRate(stats)),
    row("Waited for experts", stats && (lookups(stats) > 0 ? formatMs(stats.stallMs) : NONE)),
  ];
}

/** The other figures: what experts and their bytes did, and what the GPU was given to do. */
export function listDetails(
  stats: EngineStats | undefined,
  runtime: RuntimeName,
): readonly NumberGroup[] {
  const count = (value: number | undefined) => (value === undefined ? NONE : formatCount(value));
  const bytes = (value: number | undefined) => (value === undefined ? NONE : formatBytes(value));
  return [
    {
      title: "Experts",
      rows: [
        row("Hits", count(stats?.expertHits)),
        row("Misses", count(stats?.expertMisses)),
        row("Loaded from RAM", count(stats?.loadsFromRam)),
        row("Loaded from disk", count(stats?.loadsFromDisk)),
        row("Loaded from the source", count(stats?.loadsFromSource)),
        row("Brought ahead", stats && describePrefetch(stats)),
      ],
    },
    {
      title: "Bytes",
      rows: [
        row("From the network", bytes(stats?.bytesFromNetwork)),
        row("From disk", bytes(stats?.bytesFromDisk)),
        row(WORDS[runtime].brought, bytes(stats?.bytesUploaded)),
      ],
    },
    {
      title: "Engine",
      rows: [
        row("Policy", stats?.policy),
        row("Predictor", stats?.predictor),
        row("Pacing", runtime === "webgpu" ? stats?.pacing : undefined),
        row("Faults", count(stats?.faults)),
        row(WORDS[runtime].steps, stats && formatRate(stats.dispatchesPerToken)),
        row(
          "Readbacks a token",
          runtime === "webgpu" ? stats && formatRate(stats.readbacksPerToken) : undefined,
        ),
      ],
    },
  ];
}

/** How a reply found its experts, in a sentence; empty before the first one. */
export function describeFinds(stats: EngineStats | undefined, running: boolean): string {
  if (!stats || lookups(stats) === 0) return "";
  const when = running ? "This reply so far" : "Last reply";
  const misses = `${formatCount(stats.expertMisses)} ${stats.expertMisses === 1 ? "miss" : "misses"}`;
  return `${when}: ${plural(stats.expertHits, "hit")}, ${misses}.`;
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

function row(label: string, value: string | undefined): NamedNumber {
  return { label, value: value ?? NONE };
}

/** How often an expert was looked for. */
function lookups({ expertHits, expertMisses }: EngineStats): number {
  return expertHits + expertMisses;
}

function formatHitRate(stats: EngineStats): string {
  const all = lookups(stats);
  return all > 0 ? formatPercent((100 * stats.expertHits) / all) : NONE;
}

function describePrefetch({ prefetchIssued, prefetchUsed, prefetchLate }: EngineStats): string {
  if (prefetchIssued === 0) return "0";
  const late = prefetchLate > 0 ? `, ${formatCount(prefetchLate)} late` : "";
  return `${formatCount(prefetchUsed)} of ${formatCount(prefetchIssued)} used${late}`;
}
