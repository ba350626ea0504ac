/** A piece of a segment file. */
export interface Extent {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

interface Hole {
  readonly offset: number;
  readonly bytes: number;
}

interface Segment {
  readonly id: number;
  /** The file's length. */
  end: number;
  /** Unused pieces before `end`, in order, none next to another. */
  holes: Hole[];
}

/** Extents start and end at multiples of this, so that records of nearly one length fit each other's places. */
const ALIGN_BYTES = 4096;

/**
 * Which parts of the segment files are in use. Pure bookkeeping.
 *
 * A hole at the end of a segment does not exist: the segment ends before it, and the file is cut there.
 */
export class SegmentSpace {
  readonly #segmentBytes: number;
  readonly #segments = new Map<number, Segment>();
  #next: number;

  /**
   * @param segmentBytes a segment takes what fits in this; a larger record has a segment of its own
   * @param live extents in use; they do not overlap
   * @param next the first number that a new segment may have
   */
  constructor(segmentBytes: number, live: Iterable<Extent>, next: number) {
    this.#segmentBytes = segmentBytes;
    this.#next = next;
    const sorted = [...live].sort((a, b) => a.offset - b.offset);
    for (const { segment: id, offset, bytes } of sorted) {
      const segment = this.#segments.get(id) ?? this.#add(id);
      if (offset > segment.end) {
        segment.holes.push({ offset: segment.end, bytes: offset - segment.end });
      }
      segment.end = offset + aligned(bytes);
    }
  }

  /** Bytes of all segment files. */
  get bytes(): number {
    return this.#sum((segment) => segment.end);
  }

  /** Bytes in use. */
  get liveBytes(): number {
    return this.#sum(liveBytes);
  }

  /** Numbers of the segments, those with the fewest bytes in use first. */
  segments(): number[] {
    const sorted = [...this.#segments.values()].sort((a, b) => liveBytes(a) - liveBytes(b));
    return sorted.map(({ id }) => id);
  }

  /** The length of a segment's file; 0 if there is no such segment. */
  end(segment: number): number {
    return this.#segments.get(segment)?.end ?? 0;
  }

  /** Whether an extent in use is the last of its segment. */
  isTail({ segment, offset, bytes }: Extent): boolean {
    return offset + aligned(bytes) === this.end(segment);
  }

  /** Takes the smallest hole that `bytes` fit in; undefined if there is none. */
  fill(bytes: number): Extent | undefined {
    const wanted = aligned(bytes);
    let best: { segment: Segment; hole: Hole } | undefined;
    for (const segment of this.#segments.values()) {
      for (const hole of segment.holes) {
        if (hole.bytes >= wanted && !(best && best.hole.bytes <= hole.bytes)) {
          best = { segment, hole };
        }
      }
    }
    if (!best) return undefined;
    const { segment, hole } = best;
    const rest = { offset: hole.offset + wanted, bytes: hole.bytes - wanted };
    segment.holes.splice(segment.holes.indexOf(hole), 1, ...(rest.bytes > 0 ? [rest] : []));
    return { segment: segment.id, offset: hole.offset, bytes };
  }

  /** Takes `bytes` at the end of a segment, a new one if no other has room. */
  append(bytes: number): Extent {
    const wanted = aligned(bytes);
    let segment: Segment | undefined;
    for (const candidate of this.#segments.values()) {
      if (candidate.end + wanted <= this.#segmentBytes) segment = candidate;
    }
    segment ??= this.#add(this.#next);
    const offset = segment.end;
    segment.end += wanted;
    return { segment: segment.id, offset, bytes };
  }

  /** Gives an extent back. If {@link end} of its segment changes, the file is to be cut there, or removed at 0. */
  release({ segment: id, offset, bytes }: Extent): void {
    const segment = this.#segments.get(id);
    if (!segment) throw new Error(`unreachable: segment ${id} has no extents`);
    const holes = [...segment.holes, { offset, bytes: aligned(bytes) }];
    holes.sort((a, b) => a.offset - b.offset);
    segment.holes = [];
    for (const hole of holes) {
      const last = segment.holes.at(-1);
      if (last && last.offset + last.bytes === hole.offset) {
        segment.holes.splice(-1, 1, { offset: last.offset, bytes: last.bytes + hole.bytes });
      } else {
        segment.holes.push(hole);
      }
    }
    const tail = segment.holes.at(-1);
    if (tail && tail.offset + tail.bytes === segment.end) {
      segment.end = tail.offset;
      segment.holes.pop();
    }
    if (segment.end === 0) this.#segments.delete(id);
  }

  #add(id: number): Segment {
    const segment: Segment = { id, end: 0, holes: [] };
    this.#segments.set(id, segment);
    this.#next = Math.max(this.#next, id + 1);
    return segment;
  }

  #sum(of: (segment: Segment) => number): number {
    let sum = 0;
    for (const segment of this.#segments.values()) sum += of(segment);
    return sum;
  }
}

function liveBytes(segment: Segment): number {
  return segment.holes.reduce((bytes, hole) => bytes - hole.bytes, segment.end);
}

function aligned(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / ALIGN_BYTES)) * ALIGN_BYTES;
}
