import { nextTask } from "../../next-task.ts";
import { openRoot, opfsDirectory } from "./opfs-files.ts";
import type { StoreDirectory } from "./store-files.ts";

/** What tabs that share a store tell each other. */
export type StoreMessage =
  | { readonly kind: "changed" }
  /** Damage was found by a tab that must not write: the writer looks for itself. */
  | { readonly kind: "check"; readonly keys: readonly string[] };

/** A line to the other tabs that have the same model open. */
export interface StoreChannel {
  post(message: StoreMessage): void;
  close(): void;
}

/** The part of `LockManager` that the store uses. */
export interface StoreLocks {
  request(
    name: string,
    options: LockOptions,
    callback: (lock: object | null) => Promise<void>,
  ): Promise<unknown>;
}

/** Where stores are: files, locks and messages that all tabs of a site share. */
export interface StorePlace {
  readonly locks: StoreLocks;
  directory(id: string): Promise<StoreDirectory>;
  channel(id: string, onMessage: (message: StoreMessage) => void): StoreChannel;
  /** Lets the thread do other things. */
  breathe(): Promise<void>;
}

/** The browser's own storage; undefined where there is none to use, see {@link openRoot}. */
export async function opfsPlace(): Promise<StorePlace | undefined> {
  const root = await openRoot();
  if (!root || !navigator.locks) return undefined;
  return {
    locks: navigator.locks,
    async directory(id) {
      return opfsDirectory(await root.getDirectoryHandle(id, { create: true }));
    },
    channel: openChannel,
    breathe: nextTask,
  };
}

/** The name of the lock whose one holder writes. */
export function writerLock(id: string): string {
  return `sluice-store-${id}-writer`;
}

/** The name of the lock that all who have the model open share. */
export function useLock(id: string): string {
  return `sluice-store-${id}-use`;
}

function openChannel(id: string, onMessage: (message: StoreMessage) => void): StoreChannel {
  const channel = new BroadcastChannel(`sluice-store-${id}`);
  channel.onmessage = (event: MessageEvent<StoreMessage>) => onMessage(event.data);
  return {
    post: (message) => channel.postMessage(message),
    close: () => channel.close(),
  };
}
