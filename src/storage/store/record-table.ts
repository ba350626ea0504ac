import type { StoredIdentity } from "./identity.ts";
import {
  type About,
  type JournalEntry,
  NOTHING_KNOWN,
  type Placement,
  recordChecksum,
} from "./journal.ts";
import { type FoundJournal, findJournal, JournalFile } from "./journal-file.ts";
import { SegmentFiles, segmentName, segmentsAmong } from "./segment-files.ts";
import { type Extent, SegmentSpace } from "./segment-space.ts";
import { NoRoom, type StoreDirectory } from "./store-files.ts";

/** What a {@link RecordTable} is made with. */
export interface TableOptions {
  /** The key of the record that is to leave first; undefined if none may. */
  readonly coldest: () => string | undefined;
  /** Lets the thread do other things during long work. */
  readonly breathe: () => Promise<void>;
  /** A segment file takes records up to this length; a longer record has a file of its own. */
  readonly segmentBytes: number;
}

/** A record and its bytes. */
export interface KeyedBytes {
  readonly key: string;
  readonly bytes: Uint8Array;
}

/**
 * A model's directory as its one writer sees it: segment files with the bytes of records, and a journal that says where
 * each lies. The data of a record is flushed before its line in the journal is written, and nothing else rests on the
 * order of writes: a record whose place was cut, given to another or damaged fails its checksum.
 *
 * Changes must run one after the other, each ended by {@link settle}; reads may run beside them.
 */
export class RecordTable {
  readonly #directory: StoreDirectory;
  readonly #options: TableOptions;
  readonly #files: SegmentFiles;
  #records: Map<string, Placement>;
  #space: SegmentSpace;
  #journal: JournalFile | undefined;
  #identity: StoredIdentity | undefined;
  #about: About;
  /** Lines for the journal that can wait until the next that can't. */
  #unwritten: JournalEntry[] = [];
  /** Places of damaged records. */
  #condemned: Extent[] = [];

  private constructor(
    directory: StoreDirectory,
    options: TableOptions,
    found: (FoundJournal & { readonly journal: JournalFile }) | undefined,
    nextSegment: number,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#journal = found?.journal;
    this.#identity = found?.state.identity;
    this.#about = found?.state.about ?? NOTHING_KNOWN;
    this.#records = found?.state.records ?? new Map();
    this.#files = new SegmentFiles(directory, options.breathe);
    this.#space = new SegmentSpace(options.segmentBytes, this.#records.values(), nextSegment);
  }

  /** Opens a directory that no other tab writes to, and removes what a killed tab left half done. */
  static async open(directory: StoreDirectory, options: TableOptions): Promise<RecordTable> {
    const found = await findJournal(directory);
    const segments = segmentsAmong(await directory.names());
    const used = new Set(Array.from(found?.state.records.values() ?? [], (at) => at.segment));
    for (const segment of segments) {
      if (!used.has(segment)) await directory.remove(segmentName(segment));
    }
    const journal = found && (await JournalFile.open(directory, found));
    const nextSegment = 1 + Math.max(-1, ...segments, ...used);
    return new RecordTable(directory, options, journal && { ...found, journal }, nextSegment);
  }

  /** The file that records are kept of; undefined before the first {@link reset}, and then nothing can be kept. */
  get identity(): StoredIdentity | undefined {
    return this.#identity;
  }

  get about(): About {
    return this.#about;
  }

  get records(): ReadonlyMap<string, Placement> {
    return this.#records;
  }

  /** Bytes of the files. */
  get bytes(): number {
    return this.#space.bytes + (this.#journal?.bytes ?? 0);
  }

  /** Whether there is something for {@link settle} to do. */
  get unsettled(): boolean {
    return this.#unwritten.length > 0 || this.#condemned.length > 0;
  }

  /** The bytes of a record, in `into` if it is given; undefined if it is absent, or damaged and therefore dropped. */
  async read(
    key: string,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (let at = this.#records.get(key); at; ) {
      const bytes = into ?? new Uint8Array(at.bytes);
      const whole = await this.#files.read(at, bytes).catch(() => false);
      if (whole && recordChecksum(key, bytes) === at.checksum) return bytes;
      // Meanwhile it may have been moved, or have left and come back.
      const now = this.#records.get(key);
      if (now === at) {
        this.#strike(key);
        this.#condemned.push(at);
        return undefined;
      }
      at = now;
    }
    return undefined;
  }

  /**
   * Keeps records, as far as there is room within `budgetBytes` once the coldest have left; true for each that would
   * survive the end of the tab. Keys must be new.
   */
  async keep(batch: readonly KeyedBytes[], budgetBytes: number): Promise<boolean[]> {
    const stored = new Map<string, Placement>();
    try {
      for (const { key, bytes } of batch) {
        const extent = await this.#store(bytes, budgetBytes);
        if (extent) stored.set(key, { ...extent, checksum: recordChecksum(key, bytes) });
      }
      await this.#files.flush(new Set(Array.from(stored.values(), (at) => at.segment)));
      await this.#log(Array.from(stored, ([key, at]) => ({ kind: "put", key, at })));
    } catch {
      // The journal has no room, or the browser took the files away: go on without them.
      for (const at of stored.values()) await this.#release(at);
      return batch.map(() => false);
    }
    for (const [key, at] of stored) this.#records.set(key, at);
    return batch.map(({ key }) => stored.has(key));
  }

  /** Drops a record; whether it was there. */
  async drop(key: string): Promise<boolean> {
    const at = this.#records.get(key);
    if (!at) return false;
    this.#strike(key);
    await this.#release(at);
    return true;
  }

  /** Makes the files take at most `budgetBytes`, as far as the coldest records may leave. */
  async shrink(budgetBytes: number): Promise<void> {
    while (this.bytes > budgetBytes) {
      const liveBytes = this.#space.liveBytes + (this.#journal?.bytes ?? 0);
      if (liveBytes <= budgetBytes && (await this.#moveTail())) continue;
      if (!(await this.#dropColdest())) return;
    }
  }

  /** Drops everything; records are of the file `identity` from now on. Throws "NoRoom". */
  async reset(identity: StoredIdentity): Promise<void> {
    const known = { identity, about: { ...NOTHING_KNOWN }, records: new Map() };
    this.#journal = await JournalFile.start(this.#directory, known, this.#journal);
    this.#identity = identity;
    this.#about = known.about;
    this.#records = known.records;
    this.#unwritten = [];
    this.#condemned = [];
    const segments = this.#space.segments();
    this.#space = new SegmentSpace(this.#options.segmentBytes, [], 1 + Math.max(-1, ...segments));
    for (const segment of segments) await this.#files.cut(segment, 0);
  }

  describe(about: About): void {
    this.#about = about;
    this.#unwritten.push({ kind: "about", about });
  }

  /** Ends a change: gives back the places of damaged records and brings the journal up to date. */
  async settle(): Promise<void> {
    for (const extent of this.#condemned.splice(0)) await this.#release(extent);
    if (!this.#journal || !this.#identity) return;
    try {
      if (this.#unwritten.length > 0) await this.#log([]);
      if (!this.#journal.overgrown(this.#records.size)) return;
      const known = { identity: this.#identity, about: this.#about, records: this.#records };
      this.#journal = await JournalFile.start(this.#directory, known, this.#journal);
    } catch {
      // No room for a longer journal or a second one: what it does not say shows by checksums.
    }
  }

  async close(): Promise<void> {
    this.#journal?.close();
    await this.#files.close();
  }

  /** Writes bytes where there is room for them; undefined if there is none. */
  async #store(bytes: Uint8Array, budgetBytes: number): Promise<Extent | undefined> {
    for (;;) {
      const extent = await this.#place(bytes.length, budgetBytes);
      if (!extent) return undefined;
      try {
        await this.#files.write(extent, bytes);
        return extent;
      } catch (error) {
        await this.#release(extent);
        if (!(error instanceof NoRoom && (await this.#dropColdest()))) return undefined;
      }
    }
  }

  /** Finds a place within the budget, once the coldest records have left. */
  async #place(length: number, budgetBytes: number): Promise<Extent | undefined> {
    const journalBytes = this.#journal?.bytes ?? Number.POSITIVE_INFINITY;
    if (length + journalBytes > budgetBytes) return undefined;
    for (;;) {
      const hole = this.#space.fill(length);
      if (hole) return hole;
      const extent = this.#space.append(length);
      if (this.bytes <= budgetBytes) return extent;
      this.#space.release(extent);
      if (!(await this.#dropColdest())) return undefined;
    }
  }

  async #dropColdest(): Promise<boolean> {
    const key = this.#options.coldest();
    return key !== undefined && (await this.drop(key));
  }

  /** Moves the last record of a file into a hole, so that the file gets shorter; false if no hole takes any. */
  async #moveTail(): Promise<boolean> {
    for (const [key, from] of this.#tails()) {
      const to = this.#space.fill(from.bytes);
      if (!to) continue;
      const bytes = await this.read(key);
      if (!bytes) {
        this.#space.release(to);
        await this.settle();
        return true;
      }
      const at = { ...to, checksum: from.checksum };
      try {
        await this.#files.write(to, bytes);
        await this.#files.flush([to.segment]);
        await this.#log([{ kind: "put", key, at }]);
      } catch {
        await this.#release(to);
        return false;
      }
      // A full disk may have made the journal drop this very record, and a read may have condemned its old place.
      const stillThere = this.#records.get(key) === from;
      this.#records.set(key, at);
      if (stillThere) await this.#release(from);
      return true;
    }
    return false;
  }

  /** The records that lie last in their files, those of the emptiest files first. */
  #tails(): [string, Placement][] {
    const order = this.#space.segments();
    const tails = new Map<number, [string, Placement]>();
    for (const [key, at] of this.#records) {
      if (this.#space.isTail(at)) tails.set(at.segment, [key, at]);
    }
    return order.flatMap((segment) => {
      const tail = tails.get(segment);
      return tail ? [tail] : [];
    });
  }

  /** Adds lines to the journal; where it finds no room, a record at the end of a file makes some. */
  async #log(entries: readonly JournalEntry[]): Promise<void> {
    for (;;) {
      try {
        this.#journal?.append([...this.#unwritten, ...entries]);
        this.#unwritten = [];
        return;
      } catch (error) {
        const tail = error instanceof NoRoom ? this.#tails()[0] : undefined;
        if (!tail) throw error;
        await this.drop(tail[0]);
      }
    }
  }

  #strike(key: string): void {
    this.#records.delete(key);
    this.#unwritten.push({ kind: "drop", key });
  }

  async #release(extent: Extent): Promise<void> {
    const before = this.#space.end(extent.segment);
    this.#space.release(extent);
    const after = this.#space.end(extent.segment);
    if (after === before) return;
    // A file that can't be cut is the browser's affair: its bytes are no longer used.
    await this.#files.cut(extent.segment, after).catch(() => {});
  }
}
