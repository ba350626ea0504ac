import { SluiceError } from "../../errors.ts";
import { holdLockIfFree } from "./hold-lock.ts";
import { findJournal } from "./journal-file.ts";
import { openRoot, opfsDirectory, removeEntry } from "./opfs-files.ts";
import { opfsPlace, useLock, writerLock } from "./place.ts";
import type { StorageReport, StoredModel, VerifyReport } from "./report.ts";
import { SharedStore } from "./shared-store.ts";

/** Lists what this site keeps of models, in a worker. Empty where nothing can be kept. */
export async function listStored(): Promise<StorageReport> {
  const root = await openRoot();
  const models: StoredModel[] = [];
  for (const id of root ? await namesIn(root) : []) {
    const model = await describe(root!, id);
    if (model) models.push(model);
  }
  models.sort((a, b) => b.lastUsed - a.lastUsed);
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  const persisted = (await navigator.storage?.persisted?.()) ?? false;
  return { models, usedBytes: usage, quotaBytes: quota, persisted };
}

/**
 * Reads everything that is kept of a model and drops what is damaged: it is fetched again when it is needed.
 * Throws "not-found".
 */
export async function verifyStored(id: string): Promise<VerifyReport> {
  const place = await opfsPlace();
  await expectStored(id);
  const leave = await holdLockIfFree(place!.locks, useLock(id), "shared");
  const store = await SharedStore.open(
    id,
    place!,
    { budgetBytes: Number.POSITIVE_INFINITY, coldest: () => undefined, segmentBytes: 0 },
    leave ?? (() => {}),
  );
  try {
    return await store.verify();
  } finally {
    await store.close();
  }
}

/** Deletes what is kept of a model. Throws "not-found", and "engine-state" while any tab has it loaded. */
export async function deleteStored(id: string): Promise<void> {
  const root = await expectStored(id);
  const release = await holdLockIfFree(navigator.locks, useLock(id));
  if (!release) {
    throw new SluiceError(
      "engine-state",
      "This model is loaded, here or in another tab. Load another one there, or close it, and delete it then.",
    );
  }
  try {
    await removeEntry(root, id);
  } finally {
    release();
  }
}

/** Asks the browser not to clear this site's storage by itself; whether it agreed. */
export async function persistStorage(): Promise<boolean> {
  const { storage } = navigator;
  if (await storage?.persisted?.()) return true;
  return (await storage?.persist?.()) ?? false;
}

async function expectStored(id: string): Promise<FileSystemDirectoryHandle> {
  const root = await openRoot();
  if (root && (await namesIn(root)).includes(id)) return root;
  throw new SluiceError(
    "not-found",
    `Nothing is kept under ${JSON.stringify(id)}. List what is kept with listStored().`,
  );
}

async function describe(
  root: FileSystemDirectoryHandle,
  id: string,
): Promise<StoredModel | undefined> {
  const found = await findJournal(opfsDirectory(await root.getDirectoryHandle(id)));
  if (!found) return undefined;
  const { identity, about, records, end } = found.state;
  const held = [...records.values()];
  return {
    id,
    url: identity.url,
    name: about.name || identity.url,
    bytes: held.reduce((sum, at) => sum + at.bytes, end),
    fileBytes: identity.fileBytes,
    records: [...records.keys()].filter((key) => key.startsWith("expert:")).length,
    totalRecords: about.totalRecords,
    lastUsed: about.lastUsed,
    inUse: await isHeld(id),
  };
}

/** Whether some tab has the model loaded. */
async function isHeld(id: string): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === useLock(id) || name === writerLock(id));
}

async function namesIn(root: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = [];
  for await (const name of root.keys()) names.push(name);
  return names;
}
