import type { ByteSource, ReadOptions } from "../../src/storage/byte-source.ts";
import { memorySource } from "../../src/storage/memory-source.ts";

/** A source in memory that counts what is read. */
export interface WatchedSource extends ByteSource {
  /** Bytes read since the start, or since they were set to 0. */
  readBytes: number;
  /** Is called before each read, which goes on when it has resolved and fails when it throws. Default: nothing. */
  before: (options: ReadOptions | undefined) => Promise<void> | void;
}

/** Watches reads of `bytes`, which stays the caller's. */
export function watchedSource(bytes: ArrayBuffer): WatchedSource {
  const source = memorySource(bytes);
  const watched: WatchedSource = {
    ...source,
    readBytes: 0,
    before: () => {},
    async read(offset, length, options) {
      await watched.before(options);
      const read = await source.read(offset, length, options);
      watched.readBytes += length;
      return read;
    },
  };
  return watched;
}
