import type { StoreLocks } from "./place.ts";

/** What a lock is taken with; see `LockManager.request`. */
export interface HoldOptions {
  readonly mode?: "shared" | "exclusive";
  readonly signal?: AbortSignal;
}

/**
 * Takes a lock and keeps it until the function that this resolves to is called, or the tab ends.
 * Rejects if `signal` fires before.
 */
export function holdLock(
  locks: StoreLocks,
  name: string,
  options: HoldOptions = {},
): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = locks.request(
      name,
      options,
      () => new Promise<void>((release) => resolve(release)),
    );
    held.catch(reject);
  });
}

/** As {@link holdLock}, but undefined if somebody has the lock. */
export function holdLockIfFree(
  locks: StoreLocks,
  name: string,
  mode: "shared" | "exclusive" = "exclusive",
): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const held = locks.request(name, { mode, ifAvailable: true }, async (lock) => {
      if (!lock) return resolve(undefined);
      await new Promise<void>((release) => resolve(release));
    });
    held.catch(reject);
  });
}
