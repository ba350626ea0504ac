import { holdLock } from "./hold-lock.ts";
import { type StoredIdentity, storeId } from "./identity.ts";
import { opfsPlace, type StorePlace, useLock } from "./place.ts";
import { SharedStore } from "./shared-store.ts";

/**
 * Byte strings of one model, kept on disk between visits and shared by all tabs: `expert:POOL/INDEX` for records in the
 * runtime's layout, `range:OFFSET+LENGTH` for pieces of the file.
 */
export interface RecordStore {
  /** Names the model in {@link import("./manager.ts").listStored}. */
  readonly id: string;
  /** The file that the records are of; undefined until {@link adopt} when nothing was kept. */
  readonly identity: StoredIdentity | undefined;
  /** On disk. */
  readonly bytes: number;
  /** This tab is the one that writes; another becomes it when this one ends. */
  readonly writable: boolean;
  /** Bytes of a record; undefined if it is not kept. */
  bytesOf(key: string): number | undefined;
  has(key: string): boolean;
  keys(): Iterable<string>;
  /**
   * A record's bytes, checked, in a buffer that the caller owns; or in `into`, which must be as long as the record and is
   * of no use when there is none. undefined if it is not kept or damaged; a damaged record is dropped.
   */
  read(key: string, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /**
   * Keeps a record; `bytes` must not change before this resolves. true once it would survive the end of the tab;
   * false if there is no room, another tab is the writer, or the record is empty. Never rejects.
   */
  write(key: string, bytes: Uint8Array): Promise<boolean>;
  remove(key: string): Promise<void>;
  /** Changes the most bytes that the model may take on disk; the coldest records leave. */
  setBudget(bytes: number): Promise<void>;
  /**
   * Says which file the records are of, and drops those of another. Where another tab writes and has another file,
   * nothing is found or kept here from then on.
   */
  adopt(identity: StoredIdentity): Promise<void>;
  /** What a list of stored models shows. */
  describe(name: string, totalRecords: number): Promise<void>;
  /** Reads everything that is kept and drops what is damaged. */
  verify(signal?: AbortSignal): Promise<{ checked: number; damaged: number }>;
  /** Writes what waits and lets go of the files; everything is absent afterwards. */
  close(): Promise<void>;
}

export interface RecordStoreOptions {
  /** Absolute; what is kept for one address is one store. */
  readonly url: string;
  /** The most bytes that the model may take on disk. */
  readonly budgetBytes: number;
  /** The key of the record that is to leave first when there is no room; undefined if none may. */
  readonly coldest: () => string | undefined;
  /** For tests; the browser's own storage if absent. */
  readonly place?: StorePlace;
  /** For tests: the length of a segment file. */
  readonly segmentBytes?: number;
}

const SEGMENT_BYTES = 128 << 20;

/**
 * Opens what is kept of the model at `url`, in a worker. undefined where nothing can be kept: no OPFS (a private window,
 * an insecure context, Node), or not in a worker.
 *
 * @example
 * const store = await openRecordStore({ url, budgetBytes: 4e9, coldest: () => cache.coldest() });
 * await store?.adopt({ url, fileBytes: source.bytes, ...source.identity });
 * const record = (await store?.read("expert:0/7")) ?? (await fetchRecord(0, 7));
 */
export async function openRecordStore(
  options: RecordStoreOptions,
): Promise<RecordStore | undefined> {
  const place = options.place ?? (await opfsPlace());
  if (!place) return undefined;
  const id = await storeId(options.url);
  const leave = await holdLock(place.locks, useLock(id), { mode: "shared" });
  const { budgetBytes, coldest, segmentBytes = SEGMENT_BYTES } = options;
  try {
    return await SharedStore.open(id, place, { budgetBytes, coldest, segmentBytes }, leave);
  } catch {
    // The browser refuses its storage: the model is read from its host.
    leave();
    return undefined;
  }
}
