import { abortError, throwIfAborted } from "../errors.ts";
import { type ByteSource, checkRange, type ReadOptions, type ReadPriority } from "./byte-source.ts";
import { LinkRate } from "./link-rate.ts";
import {
  isMoreUrgent,
  mayStart,
  mostUrgent,
  overlaps,
  planSpan,
  requestLimit,
  type Span,
  type Want,
  within,
  without,
} from "./request-plan.ts";

/** How reads are gathered. The defaults and their reasons are beside `DEFAULTS`. */
export interface CoalescingOptions {
  /** Requests at once. The source below must admit as many, or what is urgent waits in its queue. */
  readonly requests?: number;
  /** Bytes of a request that a token waits for; what is fetched ahead comes in smaller ones. */
  readonly requestBytes?: number;
  /** Bytes between two reads that are fetched too, rather than to ask twice. */
  readonly gapBytes?: number;
  /** How long a read waits for others to share its request. */
  readonly gatherMs?: number;
  /** How long what is fetched ahead may occupy the connection, all of it together, when a token's read comes. */
  readonly backgroundMs?: number;
  /** Bounds of one request for what is fetched ahead, whatever the connection's speed. */
  readonly backgroundBytes?: { readonly least: number; readonly most: number };
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

/** What was asked of the source below since the start. */
export interface CoalescingCounters {
  readonly reads: number;
  readonly requests: number;
  /** Bytes that requests brought, those between reads included. */
  readonly bytes: number;
  readonly mostAtOnce: number;
}

/** A source that serves many reads by few requests. */
export interface CoalescingSource extends ByteSource {
  readonly counters: CoalescingCounters;
  raise(offset: number, length: number, priority: ReadPriority): void;
  close(): Promise<void>;
}

const KIB = 1024;

// Chosen with test/bench/cold-load.ts at 2 MB/s and 60 ms before the first byte, 20 MB/s and 30 ms, 50 MB/s and 100 ms.
const DEFAULTS = {
  // A browser opens six connections to a host that speaks HTTP/1.1; a seventh request would wait in its queue. Two
  // requests took 1.9 times as long as six for a cold load, one 3 times.
  requests: 6,
  // Latency is lost on short requests, and a layer's experts in one long request come on one connection only: the first
  // token came 25 % sooner than with 4 MiB, and a little sooner than with 512 KiB.
  requestBytes: 1024 * KIB,
  // Spares the requests between which lies padding or a small expert. Without gaps the cold load of a tiny model took
  // 1.3 times as long; 64 KiB brought a fifth more bytes for no time saved.
  gapBytes: 32 * KIB,
  // One turn of the event loop: what an engine asks for together comes within it. 2 to 10 ms saved no requests.
  gatherMs: 0,
  // Must be more than the latency, or fill does not use the connection; a token's read waits about so much longer. 100
  // ms took 8 % longer on the connection with the longest latency, and 300 ms stalled tokens 1.4 times as long on the slow.
  backgroundMs: 200,
  backgroundBytes: { least: 64 * KIB, most: 1024 * KIB },
  now: () => performance.now(),
} satisfies Required<CoalescingOptions>;

/**
 * Serves reads of `source` that come close together by few requests; closing it closes `source`.
 *
 * - Reads wait `gatherMs`, then go by priority, then in the order in which they came, then by offset. Neighbours of one
 *   priority share a request.
 * - At most `requests` are open; the last of them is kept for what a token waits for. While that is under way no fill
 *   begins and one prefetch at a time. What is fetched ahead is cut into requests so small that the connection, as fast
 *   as it was lately, is done with all of them in `backgroundMs`.
 * - No byte is asked for twice at once: a read of what is under way waits for that.
 * - A read that is aborted leaves its request to the others that share it; without others the request ends too.
 * - A request that fails fails its own reads, with the error of `source`.
 *
 * Only for a source that serves every place alike: one that streams from the start would hold up early bytes.
 */
export function coalescing(source: ByteSource, options: CoalescingOptions = {}): CoalescingSource {
  const coalescer = new Coalescer(source, { ...DEFAULTS, ...options });
  return {
    name: source.name,
    bytes: source.bytes,
    parts: source.parts,
    get counters() {
      return coalescer.counters;
    },
    read: (offset, length, readOptions) => coalescer.read(offset, length, readOptions),
    raise: (offset, length, priority) =>
      coalescer.raise({ start: offset, end: offset + length }, priority),
    async close() {
      coalescer.close();
      await source.close?.();
    },
  };
}

/** A read under way. */
interface Read extends Want {
  /** Made when the first part of several comes. */
  bytes: Uint8Array<ArrayBuffer> | undefined;
  missingBytes: number;
  resolve(bytes: Uint8Array<ArrayBuffer>): void;
  reject(error: unknown): void;
}

/** A request under way. */
interface Flight extends Span {
  priority: ReadPriority;
  /** Who waits for it, and for which parts of it. */
  readonly parts: Map<Read, readonly Span[]>;
  readonly control: AbortController;
}

class Coalescer {
  readonly #source: ByteSource;
  readonly #options: Required<CoalescingOptions>;
  readonly #rate = new LinkRate();
  /** Reads that want a request. */
  readonly #queue = new Set<Read>();
  /** Requests that somebody waits for. */
  readonly #flights = new Set<Flight>();
  /** Requests that have not ended, those given up included. */
  #open = 0;
  #batch = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #counters = { reads: 0, requests: 0, bytes: 0, mostAtOnce: 0 };

  constructor(source: ByteSource, options: Required<CoalescingOptions>) {
    this.#source = source;
    this.#options = options;
  }

  get counters(): CoalescingCounters {
    return { ...this.#counters };
  }

  async read(
    offset: number,
    length: number,
    { signal, priority = "demand" }: ReadOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.#source, offset, length);
    throwIfAborted(signal, this.#what);
    if (this.#closed) throw abortError(this.#what);
    this.#counters.reads++;
    if (length === 0) return new Uint8Array(0);
    const span = { start: offset, end: offset + length };
    return new Promise((resolve, reject) => {
      const leave = () => signal?.removeEventListener("abort", giveUp);
      const read: Read = {
        ...span,
        priority,
        batch: this.#batch,
        gaps: [span],
        bytes: undefined,
        missingBytes: length,
        resolve(bytes) {
          leave();
          resolve(bytes);
        },
        reject(error) {
          leave();
          reject(error);
        },
      };
      const giveUp = () => this.#drop(read, abortError(this.#what));
      signal?.addEventListener("abort", giveUp, { once: true });
      for (const flight of this.#flights) this.#board(read, flight);
      if (read.gaps.length > 0) this.#queue.add(read);
      this.#gather();
    });
  }

  /** Makes every read of bytes in `span` that is less urgent than `priority` as urgent. */
  raise(span: Span, priority: ReadPriority): void {
    const raised = (item: Read | Flight) => overlaps(item, span) && lift(item, priority);
    if ([...this.#queue, ...this.#flights].filter(raised).length > 0) this.#gather();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    const reads = [...this.#flights].flatMap((flight) => [...flight.parts.keys()]);
    for (const read of [...this.#queue, ...reads]) this.#drop(read, abortError(this.#what));
  }

  get #what(): string {
    return `Reading ${this.#source.name}`;
  }

  /** Lets `flight` bring what it can of `read`. */
  #board(read: Read, flight: Flight): void {
    const parts = within(read.gaps, flight);
    if (parts.length === 0) return;
    flight.parts.set(read, parts);
    lift(flight, read.priority);
    read.gaps = without(read.gaps, flight);
  }

  /** Sends requests soon: reads that are asked for until then share them. */
  #gather(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#batch++;
      this.#send();
    }, this.#options.gatherMs);
  }

  #send(): void {
    for (;;) {
      const first = mostUrgent(this.#queue);
      if (!first) return;
      const flights = [...this.#flights];
      if (!mayStart(first.priority, flights, this.#open, this.#options.requests)) return;
      const requestBytes = requestLimit(first.priority, this.#options, this.#rate.bytesPerSecond);
      const { gapBytes } = this.#options;
      const span = planSpan(first, this.#queue, flights, { requestBytes, gapBytes });
      const flight: Flight = {
        ...span,
        priority: first.priority,
        parts: new Map(),
        control: new AbortController(),
      };
      for (const read of this.#queue) {
        this.#board(read, flight);
        if (read.gaps.length === 0) this.#queue.delete(read);
      }
      void this.#fly(flight);
    }
  }

  async #fly(flight: Flight): Promise<void> {
    const { start, end, priority, control } = flight;
    const { now } = this.#options;
    this.#flights.add(flight);
    this.#open++;
    this.#counters.requests++;
    this.#counters.mostAtOnce = Math.max(this.#counters.mostAtOnce, this.#open);
    this.#rate.started(now());
    let landedBytes = 0;
    try {
      const { signal } = control;
      const bytes = await this.#source.read(start, end - start, { signal, priority });
      landedBytes = bytes.length;
      this.#land(flight, bytes);
    } catch (error) {
      this.#flights.delete(flight);
      for (const read of flight.parts.keys()) this.#drop(read, error);
    } finally {
      this.#open--;
      this.#counters.bytes += landedBytes;
      this.#rate.ended(landedBytes, now());
      this.#gather();
    }
  }

  #land(flight: Flight, bytes: Uint8Array<ArrayBuffer>): void {
    this.#flights.delete(flight);
    for (const [read, parts] of flight.parts) {
      if (flight.parts.size === 1 && isSame(read, flight)) {
        read.resolve(bytes);
        return;
      }
      read.bytes ??= new Uint8Array(read.end - read.start);
      for (const { start, end } of parts) {
        read.bytes.set(
          bytes.subarray(start - flight.start, end - flight.start),
          start - read.start,
        );
        read.missingBytes -= end - start;
      }
      if (read.missingBytes === 0) read.resolve(read.bytes);
    }
  }

  /** Ends a read that will not have its bytes, and the requests that were for it alone. */
  #drop(read: Read, error: unknown): void {
    this.#queue.delete(read);
    for (const flight of this.#flights) {
      if (!flight.parts.delete(read) || flight.parts.size > 0) continue;
      this.#flights.delete(flight);
      flight.control.abort();
    }
    read.reject(error);
  }
}

/** Makes `item` as urgent as `priority` and says whether that is more than it was. */
function lift(item: { priority: ReadPriority }, priority: ReadPriority): boolean {
  if (!isMoreUrgent(priority, item.priority)) return false;
  item.priority = priority;
  return true;
}

function isSame(a: Span, b: Span): boolean {
  return a.start === b.start && a.end === b.end;
}
