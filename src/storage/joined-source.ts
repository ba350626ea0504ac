import { type ByteSource, checkRange } from "./byte-source.ts";

/** A part and where it lies among the others. */
interface Placed {
  readonly source: ByteSource;
  readonly start: number;
  readonly end: number;
}

/**
 * Several files as one source: the bytes of the first, then those of the second, and so on, under the name of the first.
 * Owns them: closing it closes them.
 */
export function joinSources(sources: readonly ByteSource[]): ByteSource {
  const [first] = sources;
  if (!first) throw new Error("unreachable: nothing to join");
  if (sources.length === 1) return first;
  const placed = place(sources);
  const { name } = first;
  const bytes = placed.at(-1)!.end;
  return {
    name,
    bytes,
    parts: sources.map((source) => ({ name: source.name, bytes: source.bytes })),
    async read(offset, length, options) {
      checkRange({ name, bytes }, offset, length);
      const pieces = within(placed, offset, length);
      const read = await Promise.all(
        pieces.map(({ source, from, bytes }) => source.read(from, bytes, options)),
      );
      return read.length === 1 ? read[0]! : concatenated(read, length);
    },
    raise(offset, length, priority) {
      for (const { source, from, bytes } of within(placed, offset, length)) {
        source.raise?.(from, bytes, priority);
      }
    },
    async close() {
      await Promise.all(sources.map((source) => source.close?.()));
    },
  };
}

function place(sources: readonly ByteSource[]): Placed[] {
  let end = 0;
  return sources.map((source) => {
    const start = end;
    end += source.bytes;
    return { source, start, end };
  });
}

/** What of `[offset, offset + length)` each source holds, in its own offsets. */
function within(placed: readonly Placed[], offset: number, length: number) {
  const end = offset + length;
  const touched = placed.filter((part) => part.start < end && part.end > offset);
  // No bytes are asked of any file, but whether the signal has fired is.
  if (touched.length === 0) return [{ source: placed[0]!.source, from: 0, bytes: 0 }];
  return touched.map((part) => {
    const from = Math.max(part.start, offset);
    return {
      source: part.source,
      from: from - part.start,
      bytes: Math.min(part.end, end) - from,
    };
  });
}

function concatenated(
  pieces: readonly Uint8Array<ArrayBuffer>[],
  length: number,
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
