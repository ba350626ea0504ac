import { holdLock, holdLockIfFree } from "./hold-lock.ts";
import { type StoredIdentity, sameIdentity } from "./identity.ts";
import type { Placement } from "./journal.ts";
import { type StoreChannel, type StoreMessage, type StorePlace, writerLock } from "./place.ts";
import { RecordReader } from "./record-reader.ts";
import type { RecordStore } from "./record-store.ts";
import { RecordTable } from "./record-table.ts";
import { RecordWriter } from "./record-writer.ts";
import type { StoreDirectory } from "./store-files.ts";

export interface SharedStoreOptions {
  readonly budgetBytes: number;
  readonly coldest: () => string | undefined;
  readonly segmentBytes: number;
}

/** What this tab may do: one tab of all that have the model open writes, the others read what it has committed. */
type Role =
  | { readonly kind: "writer"; readonly writer: RecordWriter; release(): void }
  | { readonly kind: "reader"; readonly reader: RecordReader };

const NOTHING: ReadonlyMap<string, Placement> = new Map();

/** A {@link RecordStore} that several tabs share; a tab that reads becomes the writer when the writer ends. */
export class SharedStore implements RecordStore {
  readonly id: string;
  readonly #place: StorePlace;
  readonly #options: SharedStoreOptions;
  readonly #directory: StoreDirectory;
  readonly #channel: StoreChannel;
  readonly #leave: () => void;
  readonly #closing = new AbortController();
  #role: Role | undefined;
  #promotion: Promise<void> | undefined;
  #identity: StoredIdentity | undefined;
  #budgetBytes: number;
  #about: { name: string; totalRecords: number } | undefined;

  private constructor(
    id: string,
    place: StorePlace,
    options: SharedStoreOptions,
    directory: StoreDirectory,
    leave: () => void,
  ) {
    this.id = id;
    this.#place = place;
    this.#options = options;
    this.#directory = directory;
    this.#leave = leave;
    this.#budgetBytes = options.budgetBytes;
    this.#channel = place.channel(id, (message) => void this.#hear(message));
  }

  /** @param leave gives back the lock that says that the model is in use */
  static async open(
    id: string,
    place: StorePlace,
    options: SharedStoreOptions,
    leave: () => void,
  ): Promise<SharedStore> {
    const store = new SharedStore(id, place, options, await place.directory(id), leave);
    const release = await holdLockIfFree(place.locks, writerLock(id));
    try {
      if (release) await store.#lead(release);
      else await store.#follow();
    } catch (error) {
      store.#channel.close();
      throw error;
    }
    store.#identity = store.#keptIdentity;
    return store;
  }

  get identity(): StoredIdentity | undefined {
    return this.#identity;
  }

  get bytes(): number {
    const role = this.#role;
    if (!role) return 0;
    return role.kind === "writer" ? role.writer.table.bytes : role.reader.bytes;
  }

  get writable(): boolean {
    return this.#role?.kind === "writer" && this.#fits;
  }

  bytesOf(key: string): number | undefined {
    return this.#records.get(key)?.bytes;
  }

  has(key: string): boolean {
    return this.#records.has(key);
  }

  keys(): Iterable<string> {
    return this.#records.keys();
  }

  async read(
    key: string,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const role = this.#role;
    const bytes = this.bytesOf(key);
    if (!role || bytes === undefined) return undefined;
    if (into && into.length !== bytes) {
      throw new Error(`unreachable: ${key} has ${bytes} bytes, not ${into.length}`);
    }
    return role.kind === "writer" ? role.writer.read(key, into) : role.reader.read(key, into);
  }

  async write(key: string, bytes: Uint8Array): Promise<boolean> {
    const role = this.#role;
    return role?.kind === "writer" && this.#fits ? role.writer.write(key, bytes) : false;
  }

  async remove(key: string): Promise<void> {
    if (this.#role?.kind === "writer" && this.#fits) await this.#role.writer.remove(key);
  }

  async setBudget(bytes: number): Promise<void> {
    this.#budgetBytes = bytes;
    if (this.#role?.kind === "writer" && this.#fits) await this.#role.writer.setBudget(bytes);
  }

  async adopt(identity: StoredIdentity): Promise<void> {
    this.#identity = identity;
    const role = this.#role;
    // Where there is no room for a new journal, what is kept does not fit the identity and is left alone.
    if (role?.kind === "writer" && !this.#fits) await role.writer.reset(identity).catch(() => {});
  }

  async describe(name: string, totalRecords: number): Promise<void> {
    this.#about = { name, totalRecords };
    if (this.#role?.kind !== "writer" || !this.#fits) return;
    await this.#role.writer.describe({ name, totalRecords, lastUsed: Date.now() });
  }

  async verify(signal?: AbortSignal): Promise<{ checked: number; damaged: number }> {
    const damaged: string[] = [];
    let checked = 0;
    for (const key of [...this.keys()]) {
      if (signal?.aborted) break;
      const wasThere = this.has(key);
      if (!wasThere) continue;
      checked += 1;
      if (!(await this.read(key))) damaged.push(key);
    }
    if (this.#role?.kind === "reader" && damaged.length > 0) {
      this.#channel.post({ kind: "check", keys: damaged });
    }
    return { checked, damaged: damaged.length };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#promotion;
    const role = this.#role;
    this.#role = undefined;
    if (role?.kind === "writer") {
      await role.writer.close().catch(() => {});
      role.release();
    }
    this.#channel.close();
    this.#leave();
  }

  get #keptIdentity(): StoredIdentity | undefined {
    const role = this.#role;
    return role?.kind === "writer" ? role.writer.table.identity : role?.reader.state?.identity;
  }

  /** Whether what is kept is of the file that this tab has loaded. */
  get #fits(): boolean {
    const kept = this.#keptIdentity;
    return kept !== undefined && this.#identity !== undefined && sameIdentity(kept, this.#identity);
  }

  get #records(): ReadonlyMap<string, Placement> {
    const role = this.#role;
    if (!role || !this.#fits) return NOTHING;
    return role.kind === "writer" ? role.writer.table.records : role.reader.records;
  }

  /** Becomes the writer, which holds the writer's lock until `release` is called. */
  async #lead(release: () => void): Promise<void> {
    try {
      const { coldest, segmentBytes } = this.#options;
      const { breathe } = this.#place;
      const table = await RecordTable.open(this.#directory, { coldest, segmentBytes, breathe });
      const writer = new RecordWriter(table, this.#budgetBytes, () =>
        this.#channel.post({ kind: "changed" }),
      );
      this.#role = { kind: "writer", writer, release };
      if (table.identity)
        await writer.describe({ ...table.about, ...this.#about, lastUsed: Date.now() });
      else if (this.#identity) await this.adopt(this.#identity);
      await writer.setBudget(this.#budgetBytes);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Reads what another tab writes, and waits to take its place. */
  async #follow(): Promise<void> {
    this.#role = { kind: "reader", reader: await RecordReader.open(this.#directory) };
    const { signal } = this.#closing;
    this.#promotion = (async () => {
      try {
        const release = await holdLock(this.#place.locks, writerLock(this.id), { signal });
        if (signal.aborted) release();
        else await this.#lead(release);
      } catch {
        // Closed, or the browser refuses its files: this tab goes on as it is.
      }
    })();
  }

  async #hear(message: StoreMessage): Promise<void> {
    const role = this.#role;
    if (message.kind === "changed" && role?.kind === "reader") await role.reader.refresh();
    if (message.kind === "check" && role?.kind === "writer") {
      // Reading drops what is damaged.
      for (const key of message.keys) await role.writer.read(key);
    }
  }
}
