import { SluiceError } from "../../errors.ts";
import type { ByteSource, ReadOptions } from "../byte-source.ts";
import { checkRange } from "../byte-source.ts";
import type { FileIdentity } from "../http-identity.ts";
import type { PartIdentity } from "../split-http-source.ts";
import { type StoredIdentity, sameIdentity } from "./identity.ts";
import type { RecordStore } from "./record-store.ts";

/** The host that a model comes from, once it has been asked. */
export interface RemoteSource extends ByteSource {
  /** Bytes that have come over the network. */
  readonly received: number;
  readonly identity: FileIdentity;
  /** One for each file of a split model. */
  readonly partIdentities?: readonly PartIdentity[] | undefined;
  close(): Promise<void>;
}

/** How a {@link StoredSource} is made. */
export interface StoredSourceOptions {
  /** Absolute; of the first part of a split model. */
  readonly url: string;
  readonly store: RecordStore;
  /** Asks the host: called when something is wanted that is not kept, at most once at a time. */
  readonly open: () => Promise<RemoteSource>;
}

/** A file on a host whose pieces are kept on disk as they are read. Closing it closes the store. */
export interface StoredSource extends ByteSource {
  /** The same file, nothing of it kept: for what is kept in another form. */
  readonly passing: ByteSource;
  /** Bytes that have come over the network, and from disk. */
  readonly received: number;
  readonly fromDisk: number;
  close(): Promise<void>;
}

/**
 * A file that is read from disk where it is kept, and otherwise from its host. Nothing is asked of the host until
 * something is missing: a second visit to a model that is wholly kept makes no request.
 *
 * When the host is asked and has another file by now, everything kept is dropped: what is kept already was of the old
 * file, so reads throw "network" from then on, except for the first one, which starts afresh.
 * Throws what `open` throws.
 */
export async function openStoredSource(options: StoredSourceOptions): Promise<StoredSource> {
  const { url, store } = options;
  const remote = new Remote(options);
  const known = store.identity;
  const { bytes, parts } = known ? extentOf(known) : await remote.opened();
  let fromDisk = 0;
  let read = false;

  async function fromStore(
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const kept = keptRange(store, offset, length);
    const piece = kept && (await store.read(kept.key));
    if (!kept || !piece) return undefined;
    fromDisk += piece.length;
    const start = offset - kept.offset;
    return piece.length === length ? piece : piece.slice(start, start + length);
  }

  const passing: ByteSource = {
    name: url,
    bytes,
    parts,
    async read(offset, length, readOptions?: ReadOptions) {
      checkRange({ name: url, bytes }, offset, length);
      const host = await remote.opened(read);
      return host.read(offset, length, readOptions);
    },
    raise: (offset, length, priority) => remote.current?.raise?.(offset, length, priority),
  };

  return {
    ...passing,
    passing,
    get received() {
      return remote.received;
    },
    get fromDisk() {
      return fromDisk;
    },
    async read(offset, length, readOptions) {
      checkRange({ name: url, bytes }, offset, length);
      const kept = await fromStore(offset, length);
      if (kept) {
        read = true;
        return kept;
      }
      const piece = await passing.read(offset, length, readOptions);
      read = true;
      // A copy: the reader owns the piece, and the store wants it unchanged until it is written.
      void store.write(rangeKey(offset, length), piece.slice());
      return piece;
    },
    async close() {
      await remote.close();
      await store.close();
    },
  };
}

/** The host, opened when first needed and compared with what is kept. */
class Remote {
  readonly #options: StoredSourceOptions;
  #opening: Promise<RemoteSource> | undefined;
  #current: RemoteSource | undefined;

  constructor(options: StoredSourceOptions) {
    this.#options = options;
  }

  get current(): RemoteSource | undefined {
    return this.#current;
  }

  get received(): number {
    return this.#current?.received ?? 0;
  }

  /** @param keptRead something kept has been read, which must be of the file that the host has */
  opened(keptRead = false): Promise<RemoteSource> {
    this.#opening ??= this.#open(keptRead).catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async close(): Promise<void> {
    await this.#current?.close();
  }

  async #open(keptRead: boolean): Promise<RemoteSource> {
    const { url, store, open } = this.#options;
    const source = await open();
    const { identity, bytes: fileBytes, partIdentities: parts } = source;
    const found: StoredIdentity = { ...identity, url, fileBytes, ...(parts && { parts }) };
    const kept = store.identity;
    if (kept && sameIdentity(kept, found)) {
      this.#current = source;
      return source;
    }
    await store.adopt(found);
    if (kept && (keptRead || !sameExtent(kept, found))) {
      await source.close();
      throw changedSinceKept(url);
    }
    this.#current = source;
    return source;
  }
}

/** How long a model is, and its files. */
function extentOf({ fileBytes, parts }: StoredIdentity): Pick<ByteSource, "bytes" | "parts"> {
  return {
    bytes: fileBytes,
    parts: parts?.map(({ url, fileBytes }) => ({ name: url, bytes: fileBytes })),
  };
}

function sameExtent(a: StoredIdentity, b: StoredIdentity): boolean {
  return JSON.stringify(extentOf(a)) === JSON.stringify(extentOf(b));
}

const RANGE_KEY = /^range:(\d+)\+(\d+)$/;

function rangeKey(offset: number, length: number): string {
  return `range:${offset}+${length}`;
}

/** The kept piece that has `[offset, offset + length)`. */
function keptRange(
  store: RecordStore,
  offset: number,
  length: number,
): { readonly key: string; readonly offset: number } | undefined {
  const exact = rangeKey(offset, length);
  if (store.has(exact)) return { key: exact, offset };
  for (const key of store.keys()) {
    const [, start, bytes] = RANGE_KEY.exec(key) ?? [];
    if (start === undefined) continue;
    const from = Number(start);
    if (from <= offset && offset + length <= from + Number(bytes)) return { key, offset: from };
  }
  return undefined;
}

function changedSinceKept(url: string): SluiceError {
  return new SluiceError(
    "network",
    `${url} has changed on its host since a part of it was kept on this device. The kept part was deleted: load the model again.`,
  );
}
