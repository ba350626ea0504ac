import { xxh32 } from "../../numeric/checksum.ts";
import { LAYOUT_VERSION, type StoredIdentity } from "./identity.ts";

/** Where the bytes of a record lie, and their checksum. */
export interface Placement {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  readonly checksum: number;
}

/** What a list of models shows beside the bytes. */
export interface About {
  readonly name: string;
  /** Expert records of the whole model. */
  readonly totalRecords: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
}

/** One line of the journal. `ready` ends the snapshot that a journal starts with; without it the file is void. */
export type JournalEntry =
  | { readonly kind: "file"; readonly layout: number; readonly identity: StoredIdentity }
  | { readonly kind: "about"; readonly about: About }
  | { readonly kind: "put"; readonly key: string; readonly at: Placement }
  | { readonly kind: "drop"; readonly key: string }
  | { readonly kind: "ready" };

/** What a journal says is kept. */
export interface JournalState {
  readonly identity: StoredIdentity;
  readonly about: About;
  readonly records: Map<string, Placement>;
  /** Lines that were replayed. */
  readonly lines: number;
  /** Bytes of the journal up to the end of its last whole line. */
  readonly end: number;
  /** Whether lines were passed over: the journal is to be written anew, or what they contradict may come back. */
  readonly damaged: boolean;
}

const NEWLINE = 10;
const CHECKSUM_DIGITS = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const NOTHING_KNOWN: About = { name: "", totalRecords: 0, lastUsed: 0 };

/** The checksum of a record's bytes; it takes in the key, so that one record in another's place shows. */
export function recordChecksum(key: string, bytes: Uint8Array): number {
  return xxh32(bytes, xxh32(encoder.encode(key)));
}

/** Entries as lines: a checksum of the rest in hexadecimal, a space, JSON. */
export function encodeEntries(entries: readonly JournalEntry[]): Uint8Array<ArrayBuffer> {
  const lines = entries.map((entry) => {
    const text = JSON.stringify(entry);
    return `${hex(xxh32(encoder.encode(text)))} ${text}\n`;
  });
  return encoder.encode(lines.join(""));
}

/** The lines that a journal starts with: all that is known. */
export function snapshotEntries({
  identity,
  about,
  records,
}: Pick<JournalState, "identity" | "about" | "records">): JournalEntry[] {
  return [
    { kind: "file", layout: LAYOUT_VERSION, identity },
    { kind: "about", about },
    ...Array.from(records, ([key, at]) => ({ kind: "put", key, at }) as const),
    { kind: "ready" },
  ];
}

/**
 * Reads a journal. Damaged lines are passed over: what they lost shows by the checksum of the records concerned, or as
 * records that are not there. undefined if the journal is of another layout or its first snapshot was never finished.
 */
export function replayJournal(bytes: Uint8Array): JournalState | undefined {
  let identity: StoredIdentity | undefined;
  let about = NOTHING_KNOWN;
  let ready = false;
  let lines = 0;
  let end = 0;
  let damaged = false;
  const puts = new Map<string, { at: Placement; line: number }>();
  for (const line of wholeLines(bytes)) {
    const entry = decodeLine(line.bytes);
    if (!entry) {
      damaged = true;
      continue;
    }
    end = line.end;
    lines += 1;
    if (entry.kind === "file" && entry.layout === LAYOUT_VERSION) identity = entry.identity;
    else if (entry.kind === "about") about = entry.about;
    else if (entry.kind === "put") puts.set(entry.key, { at: entry.at, line: lines });
    else if (entry.kind === "drop") puts.delete(entry.key);
    else ready ||= entry.kind === "ready";
  }
  if (!identity || !ready) return undefined;
  return { identity, about, records: withoutOverlaps(puts), lines, end, damaged };
}

function* wholeLines(bytes: Uint8Array): Generator<{ bytes: Uint8Array; end: number }> {
  for (let start = 0; ; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    if (newline < 0) return;
    yield { bytes: bytes.subarray(start, newline), end: newline + 1 };
    start = newline + 1;
  }
}

function decodeLine(line: Uint8Array): JournalEntry | undefined {
  const text = line.subarray(CHECKSUM_DIGITS + 1);
  const checksum = decoder.decode(line.subarray(0, CHECKSUM_DIGITS));
  return checksum === hex(xxh32(text)) ? JSON.parse(decoder.decode(text)) : undefined;
}

/**
 * The space of a dropped record is used again, so where the line of its drop was lost two records claim the same
 * bytes: the later one has them.
 */
function withoutOverlaps(
  puts: ReadonlyMap<string, { at: Placement; line: number }>,
): Map<string, Placement> {
  const sorted = [...puts].sort(
    ([, a], [, b]) => a.at.segment - b.at.segment || a.at.offset - b.at.offset,
  );
  const kept: typeof sorted = [];
  for (const put of sorted) {
    let lost = false;
    for (let last = kept.at(-1); last && overlap(last[1].at, put[1].at); last = kept.at(-1)) {
      lost = last[1].line > put[1].line;
      if (lost) break;
      kept.pop();
    }
    if (!lost) kept.push(put);
  }
  return new Map(kept.map(([key, { at }]) => [key, at]));
}

/** Whether `b`, which starts no earlier, starts within `a`. */
function overlap(a: Placement, b: Placement): boolean {
  return a.segment === b.segment && b.offset < a.offset + a.bytes;
}

function hex(word: number): string {
  return word.toString(16).padStart(CHECKSUM_DIGITS, "0");
}
