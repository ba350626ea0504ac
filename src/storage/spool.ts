import { SluiceError } from "../errors.ts";

/** A place outside the JS heap for bytes that arrive in order. */
export interface Spool {
  append(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Of bytes that have been appended. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** The part of `FileSystemSyncAccessHandle` that is used here; the DOM types have it only for workers. */
interface SyncAccessHandle {
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  read(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  close(): void;
}

interface SyncFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
}

const FILE_PREFIX = "sluice-stream-";
const BLOB_BYTES = 4 << 20;

/**
 * A file of the origin private file system where there is one, otherwise Blobs.
 *
 * OPFS is used through a sync access handle, which only workers have: what `createWritable` writes
 * can't be read before it is closed. Browsers keep Blobs out of the JS heap and move large ones to disk.
 */
export async function openSpool(): Promise<Spool> {
  return (await openOpfsSpool()) ?? createBlobSpool();
}

/** undefined where OPFS is missing, as outside workers, or refused, as in private windows. */
async function openOpfsSpool(): Promise<Spool | undefined> {
  if (!("FileSystemFileHandle" in globalThis)) return undefined;
  if (!("createSyncAccessHandle" in FileSystemFileHandle.prototype)) return undefined;
  try {
    const directory = await navigator.storage.getDirectory();
    await removeLeftovers(directory);
    const name = FILE_PREFIX + crypto.randomUUID();
    const file = (await directory.getFileHandle(name, { create: true })) as SyncFileHandle;
    return opfsSpool(await file.createSyncAccessHandle(), () => directory.removeEntry(name));
  } catch {
    return undefined;
  }
}

/** Removes files of tabs that were killed; those in use are locked by their handles and stay. */
async function removeLeftovers(directory: FileSystemDirectoryHandle): Promise<void> {
  const names: string[] = [];
  for await (const name of directory.keys()) if (name.startsWith(FILE_PREFIX)) names.push(name);
  await Promise.allSettled(names.map((name) => directory.removeEntry(name)));
}

function opfsSpool(handle: SyncAccessHandle, remove: () => Promise<void>): Spool {
  let length = 0;
  return {
    async append(bytes) {
      length += writeAll(handle, bytes, length);
    },
    async read(offset, wanted) {
      const out = new Uint8Array(wanted);
      const got = handle.read(out, { at: offset });
      if (got !== wanted) throw storageError(`gave ${got} of ${wanted} bytes at ${offset}`);
      return out;
    },
    async close() {
      handle.close();
      await remove();
    },
  };
}

function writeAll(handle: SyncAccessHandle, bytes: Uint8Array<ArrayBuffer>, at: number): number {
  let written: number;
  try {
    written = handle.write(bytes, { at });
  } catch (cause) {
    throw storageError("has no room for the file", cause);
  }
  if (written !== bytes.length) throw storageError(`took ${written} of ${bytes.length} bytes`);
  return written;
}

function storageError(what: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "out-of-memory",
    `The browser's storage ${what}. Free disk space, or clear this site's data, and load again.`,
    { cause },
  );
}

/** Bytes as a list of Blobs; a chunk waits in memory only until there are a few megabytes. */
export function createBlobSpool(): Spool {
  const blobs: { offset: number; blob: Blob }[] = [];
  let flushed = 0;
  let tail: Uint8Array<ArrayBuffer>[] = [];
  let tailBytes = 0;

  function flush(): void {
    if (tailBytes === 0) return;
    blobs.push({ offset: flushed, blob: new Blob(tail) });
    flushed += tailBytes;
    tail = [];
    tailBytes = 0;
  }

  return {
    async append(bytes) {
      tail.push(bytes);
      tailBytes += bytes.length;
      if (tailBytes >= BLOB_BYTES) flush();
    },
    async read(offset, length) {
      const end = offset + length;
      if (end > flushed) flush();
      const parts = blobs
        .filter((part) => part.offset < end && part.offset + part.blob.size > offset)
        .map((part) => part.blob.slice(Math.max(0, offset - part.offset), end - part.offset));
      return new Uint8Array(await new Blob(parts).arrayBuffer());
    },
    async close() {
      blobs.length = 0;
      tail = [];
    },
  };
}
