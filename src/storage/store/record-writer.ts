import type { StoredIdentity } from "./identity.ts";
import type { About } from "./journal.ts";
import type { KeyedBytes, RecordTable } from "./record-table.ts";

interface Pending extends KeyedBytes {
  readonly done: Promise<boolean>;
  resolve(written: boolean): void;
}

/** Records that are flushed together: more waits for the next flush. */
const BATCH_BYTES = 32 << 20;

/** Puts the changes of a {@link RecordTable} in a queue, and writes that wait there into one flush. Owns the table. */
export class RecordWriter {
  readonly table: RecordTable;
  readonly #onChange: () => void;
  #budgetBytes: number;
  readonly #pending = new Map<string, Pending>();
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param onChange called when what is kept has changed on disk */
  constructor(table: RecordTable, budgetBytes: number, onChange: () => void) {
    this.table = table;
    this.#budgetBytes = budgetBytes;
    this.#onChange = onChange;
  }

  /** As {@link RecordTable.read}. */
  async read(
    key: string,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.table.read(key, into);
    if (this.table.unsettled) void this.#change(async () => {});
    return bytes;
  }

  /**
   * Keeps a record. `bytes` must not change before this resolves: to true once the record would survive the end of the
   * tab, to false if there is no room for it.
   */
  async write(key: string, bytes: Uint8Array): Promise<boolean> {
    const pending = this.#pending.get(key);
    if (pending) return pending.done;
    if (this.table.records.has(key)) return true;
    if (this.#closed || bytes.length === 0) return false;
    let resolve: Pending["resolve"] = () => {};
    const done = new Promise<boolean>((settle) => {
      resolve = settle;
    });
    this.#pending.set(key, { key, bytes, done, resolve });
    // The first commit takes all that wait by then; those after it find what is left.
    void this.#change(() => this.#commit());
    return done;
  }

  remove(key: string): Promise<void> {
    return this.#change(async () => {
      await this.table.drop(key);
    });
  }

  /** Changes the most bytes that the files may take. */
  setBudget(bytes: number): Promise<void> {
    this.#budgetBytes = bytes;
    return this.#change(() => this.table.shrink(bytes));
  }

  /** As {@link RecordTable.reset}. */
  reset(identity: StoredIdentity): Promise<void> {
    return this.#change(() => this.table.reset(identity));
  }

  describe(about: About): Promise<void> {
    return this.#change(async () => this.table.describe(about));
  }

  /** Writes what waits, then lets go of the files. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#pending.size > 0) await this.#change(() => this.#commit());
    await this.#change(() => this.table.close());
  }

  async #commit(): Promise<void> {
    const batch: Pending[] = [];
    let bytes = 0;
    for (const pending of this.#pending.values()) {
      if (batch.length > 0 && bytes + pending.bytes.length > BATCH_BYTES) break;
      batch.push(pending);
      bytes += pending.bytes.length;
    }
    if (batch.length === 0) return;
    const written = await this.table.keep(batch, this.#budgetBytes);
    for (const [index, { key, resolve }] of batch.entries()) {
      this.#pending.delete(key);
      resolve(written[index]!);
    }
    this.#onChange();
  }

  /** Runs `work` after all changes before it. Rejects as `work` does; the changes after it run all the same. */
  #change(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(async () => {
      await work();
      if (!this.table.unsettled) return;
      await this.table.settle();
      this.#onChange();
    });
    this.#last = done.catch(() => {});
    return done;
  }
}
