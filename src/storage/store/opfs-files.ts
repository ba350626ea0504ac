import { NoRoom, type StoreDirectory, type StoreFile } from "./store-files.ts";

/** The part of `FileSystemSyncAccessHandle` that is used here; the DOM types have it only for workers. */
interface SyncAccessHandle {
  getSize(): number;
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  flush(): void;
  close(): void;
}

interface SyncFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncAccessHandle>;
}

/** The directory of the origin private file system that all models are kept in. */
const ROOT_NAME = "sluice-models";

/** How long a file may stay locked by a worker that has just ended, whose locks are gone already. */
const LOCKED_MS = 5_000;
const RETRY_MS = 20;

/**
 * The directory that all models are kept in; undefined where files cannot be kept: outside workers and secure contexts,
 * and where the browser refuses, as in private windows.
 */
export async function openRoot(): Promise<FileSystemDirectoryHandle | undefined> {
  if (!("FileSystemFileHandle" in globalThis)) return undefined;
  if (!("createSyncAccessHandle" in FileSystemFileHandle.prototype)) return undefined;
  try {
    const origin = await navigator.storage.getDirectory();
    return await origin.getDirectoryHandle(ROOT_NAME, { create: true });
  } catch {
    return undefined;
  }
}

/** Files of the origin private file system, for one tab's writing and all tabs' reading. */
export function opfsDirectory(directory: FileSystemDirectoryHandle): StoreDirectory {
  return {
    async names() {
      const names: string[] = [];
      for await (const name of directory.keys()) names.push(name);
      return names;
    },
    async open(name) {
      const file = (await directory.getFileHandle(name, { create: true })) as SyncFileHandle;
      return opfsFile(await whenUnlocked(() => file.createSyncAccessHandle()));
    },
    async snapshot(name) {
      try {
        return await (await directory.getFileHandle(name)).getFile();
      } catch (error) {
        if (isNamed(error, "NotFoundError")) return undefined;
        throw error;
      }
    },
    remove: (name) => removeEntry(directory, name),
  };
}

/** Removes a file, or a directory with all that is in it; nothing happens if there is none. */
export async function removeEntry(
  directory: FileSystemDirectoryHandle,
  name: string,
): Promise<void> {
  try {
    await whenUnlocked(() => directory.removeEntry(name, { recursive: true }));
  } catch (error) {
    if (!isNamed(error, "NotFoundError")) throw error;
  }
}

function opfsFile(handle: SyncAccessHandle): StoreFile {
  return {
    length: () => handle.getSize(),
    read: (into, at) => handle.read(into, { at }) === into.length,
    write(bytes, at) {
      let written: number;
      try {
        written = handle.write(bytes, { at });
      } catch (error) {
        throw isNamed(error, "QuotaExceededError") ? new NoRoom("quota exceeded") : error;
      }
      if (written !== bytes.length) throw new NoRoom(`took ${written} of ${bytes.length} bytes`);
    },
    truncate: (length) => handle.truncate(length),
    flush: () => handle.flush(),
    close: () => handle.close(),
  };
}

/** Tries again while the file is locked: Web Locks of a worker that was ended may go before its files are free. */
async function whenUnlocked<Result>(attempt: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + LOCKED_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isNamed(error, "NoModificationAllowedError") || performance.now() > deadline)
        throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
