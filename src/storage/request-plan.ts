import type { ReadPriority } from "./byte-source.ts";

/** The bytes `[start, end)`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A read that waits for bytes. */
export interface Want extends Span {
  priority: ReadPriority;
  /** Reads that came together have one number; of two numbers the lower came first. */
  readonly batch: number;
  /** What of it no request brings yet. */
  gaps: readonly Span[];
}

/** What bounds the span of one request. */
export interface SpanLimits {
  /** Bytes of a request; a longer read is cut. */
  readonly requestBytes: number;
  /** Bytes that nobody asked for, between two reads, that a request may bring rather than be two. */
  readonly gapBytes: number;
}

const RANKS: Record<ReadPriority, number> = { demand: 0, prefetch: 1, fill: 2 };

/** Whether `a` goes before `b`. */
export function isMoreUrgent(a: ReadPriority, b: ReadPriority): boolean {
  return RANKS[a] < RANKS[b];
}

export function overlaps(a: Span, b: Span): boolean {
  return a.start < b.end && b.start < a.end;
}

/** What lies in `spans` and in `frame`. */
export function within(spans: readonly Span[], frame: Span): Span[] {
  return spans
    .filter((span) => overlaps(span, frame))
    .map(({ start, end }) => ({
      start: Math.max(start, frame.start),
      end: Math.min(end, frame.end),
    }));
}

/** `spans` less what lies in `cut`. */
export function without(spans: readonly Span[], cut: Span): Span[] {
  return spans.flatMap((span) =>
    overlaps(span, cut)
      ? [
          { start: span.start, end: cut.start },
          { start: cut.end, end: span.end },
        ].filter(({ start, end }) => start < end)
      : [span],
  );
}

/** The want to serve next: by priority, then in the order in which batches came, then by offset. */
export function mostUrgent(wants: Iterable<Want>): Want | undefined {
  let best: Want | undefined;
  for (const want of wants) {
    if (want.gaps.length > 0 && (best === undefined || goesBefore(want, best))) best = want;
  }
  return best;
}

function goesBefore(a: Want, b: Want): boolean {
  if (a.priority !== b.priority) return isMoreUrgent(a.priority, b.priority);
  return a.batch === b.batch ? a.start < b.start : a.batch < b.batch;
}

/**
 * The span of one request that begins with the first gap of `first` and takes in its neighbours of the same priority, as
 * far as `limits` go: what is more urgent has gone before, and what is less urgent would hold `first` up.
 *
 * @param busy what requests under way bring: not asked for again, so no request reaches across it
 */
export function planSpan(
  first: Want,
  wants: Iterable<Want>,
  busy: readonly Span[],
  { requestBytes, gapBytes }: SpanLimits,
): Span {
  const gap = first.gaps[0];
  if (gap === undefined) throw new Error("unreachable: a want without gaps needs no request");
  let { start } = gap;
  let end = start + evenCut(gap.end - start, requestBytes);
  const gaps = [...wants]
    .filter((want) => want.priority === first.priority)
    .flatMap((want) => want.gaps)
    .sort((a, b) => a.start - b.start);
  const isFree = (hole: Span) => !busy.some((span) => overlaps(span, hole));
  for (const next of gaps) {
    if (next.end <= end || next.start < start) continue;
    if (next.start - end > gapBytes) break;
    // A read is not cut for the sake of a full request: its rest would need one of its own.
    if (next.end - start > requestBytes || !isFree({ start: end, end: next.start })) break;
    end = next.end;
  }
  for (const next of gaps.reverse()) {
    if (next.start >= start || next.end > end) continue;
    if (start - next.end > gapBytes) break;
    if (end - next.start > requestBytes || !isFree({ start: next.end, end: start })) break;
    start = next.start;
  }
  return { start, end };
}

/** Bytes of the first piece of a read of `bytes`, cut into as few even pieces as `requestBytes` allows. */
function evenCut(bytes: number, requestBytes: number): number {
  return Math.ceil(bytes / Math.ceil(bytes / requestBytes));
}

/** Whether a request of `priority` may begin beside `flights`; `open` counts those that were given up too. */
export function mayStart(
  priority: ReadPriority,
  flights: readonly { readonly priority: ReadPriority }[],
  open: number,
  requests: number,
): boolean {
  if (priority === "demand") return open < requests;
  // The last request is kept for what a token waits for.
  if (open >= Math.max(1, requests - 1)) return false;
  const count = (kind: ReadPriority) => flights.filter((flight) => flight.priority === kind).length;
  if (count("demand") === 0) return true;
  // One keeps the connection from idling through the next latency, and takes at most half of it.
  return priority === "prefetch" && count("prefetch") === 0;
}

/** What bounds the bytes of one request; see `CoalescingOptions`. */
export interface RequestRule {
  readonly requests: number;
  readonly requestBytes: number;
  readonly backgroundMs: number;
  readonly backgroundBytes: { readonly least: number; readonly most: number };
}

/** Bytes that a request of `priority` may bring on a connection that brings `bytesPerSecond`, as far as that is known. */
export function requestLimit(
  priority: ReadPriority,
  { requests, requestBytes, backgroundMs, backgroundBytes }: RequestRule,
  bytesPerSecond: number | undefined,
): number {
  if (priority === "demand") return requestBytes;
  const { least, most } = backgroundBytes;
  if (bytesPerSecond === undefined) return least;
  const share = (bytesPerSecond * backgroundMs) / 1000 / Math.max(1, requests - 1);
  return Math.floor(Math.min(most, Math.max(least, share)));
}
