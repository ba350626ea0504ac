import { type JournalState, type Placement, recordChecksum } from "./journal.ts";
import { findJournal } from "./journal-file.ts";
import { segmentName } from "./segment-files.ts";
import type { StoreDirectory } from "./store-files.ts";

const NOTHING: ReadonlyMap<string, Placement> = new Map();

/** Reads what another tab's writer has committed to a directory, while it goes on writing. */
export class RecordReader {
  readonly #directory: StoreDirectory;
  /** Files as they were when last asked for; what is appended later needs another look. */
  readonly #segments = new Map<number, Blob>();
  #state: JournalState | undefined;
  #refreshing: Promise<void> | undefined;

  private constructor(directory: StoreDirectory, state: JournalState | undefined) {
    this.#directory = directory;
    this.#state = state;
  }

  static async open(directory: StoreDirectory): Promise<RecordReader> {
    return new RecordReader(directory, (await findJournal(directory))?.state);
  }

  /** What the journal said when it was last read; undefined if there was none. */
  get state(): JournalState | undefined {
    return this.#state;
  }

  get records(): ReadonlyMap<string, Placement> {
    return this.#state?.records ?? NOTHING;
  }

  /** Bytes in use, as far as this reader knows. */
  get bytes(): number {
    let bytes = this.#state?.end ?? 0;
    for (const at of this.records.values()) bytes += at.bytes;
    return bytes;
  }

  /** Reads the journal again; calls during a look at it share the next one. */
  refresh(): Promise<void> {
    this.#refreshing ??= (async () => {
      // The writer may say "changed" many times in a row.
      await new Promise((resolve) => setTimeout(resolve));
      this.#refreshing = undefined;
      const found = await findJournal(this.#directory).catch(() => undefined);
      this.#state = found?.state;
    })();
    return this.#refreshing;
  }

  /**
   * The bytes of a record, in `into` if it is given; undefined if it is absent, damaged, or was evicted since the
   * journal was read. Nothing is dropped: that is the writer's part.
   */
  async read(
    key: string,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const at = this.records.get(key);
    if (!at) return undefined;
    // A snapshot may be older than the record, or be refused since the file was written to: then a new one is taken.
    for (const fresh of [false, true]) {
      const bytes = await this.#slice(at, fresh).catch(() => undefined);
      if (bytes?.length !== at.bytes || recordChecksum(key, bytes) !== at.checksum) continue;
      if (!into) return bytes;
      into.set(bytes);
      return into;
    }
    return undefined;
  }

  async #slice(at: Placement, fresh: boolean): Promise<Uint8Array<ArrayBuffer> | undefined> {
    let file = fresh ? undefined : this.#segments.get(at.segment);
    file ??= await this.#directory.snapshot(segmentName(at.segment));
    if (!file) return undefined;
    this.#segments.set(at.segment, file);
    return new Uint8Array(await file.slice(at.offset, at.offset + at.bytes).arrayBuffer());
  }
}
