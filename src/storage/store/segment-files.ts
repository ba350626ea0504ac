import type { Extent } from "./segment-space.ts";
import type { StoreDirectory, StoreFile } from "./store-files.ts";

/** Bytes that go to or come from the file in one call, which blocks the thread. */
const CHUNK_BYTES = 4 << 20;

const SEGMENT_NAME = /^segment-(\d+)$/;

export function segmentName(segment: number): string {
  return `segment-${segment}`;
}

/** The numbers of the segment files among `names`. */
export function segmentsAmong(names: readonly string[]): number[] {
  return names.flatMap((name) => {
    const number = SEGMENT_NAME.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
}

/** The segment files of a writer; opened when first used, since Firefox takes 10 to 30 ms for each. */
export class SegmentFiles {
  readonly #directory: StoreDirectory;
  readonly #breathe: () => Promise<void>;
  readonly #files = new Map<number, Promise<StoreFile>>();
  #closed = false;

  /** @param breathe lets the thread do other things between the chunks of a long read or write */
  constructor(directory: StoreDirectory, breathe: () => Promise<void>) {
    this.#directory = directory;
    this.#breathe = breathe;
  }

  /** Throws "NoRoom" after writing a part of `bytes`, and what the browser throws. */
  async write({ segment, offset }: Extent, bytes: Uint8Array): Promise<void> {
    const file = await this.#open(segment);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      if (at > 0) await this.#breathe();
      file.write(bytes.subarray(at, at + CHUNK_BYTES), offset + at);
    }
  }

  /** Fills `into` from the extent; false if the file is too short. */
  async read({ segment, offset }: Extent, into: Uint8Array): Promise<boolean> {
    const file = await this.#open(segment);
    for (let at = 0; at < into.length; at += CHUNK_BYTES) {
      if (at > 0) await this.#breathe();
      if (!file.read(into.subarray(at, at + CHUNK_BYTES), offset + at)) return false;
    }
    return true;
  }

  async flush(segments: Iterable<number>): Promise<void> {
    for (const segment of segments) (await this.#files.get(segment))?.flush();
  }

  /** Cuts a segment's file to `length`; at 0 removes it. */
  async cut(segment: number, length: number): Promise<void> {
    if (length === 0) return this.#remove(segment);
    const file = await this.#open(segment);
    if (file.length() > length) file.truncate(length);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const files = await Promise.allSettled(this.#files.values());
    this.#files.clear();
    for (const file of files) if (file.status === "fulfilled") file.value.close();
  }

  #open(segment: number): Promise<StoreFile> {
    // A read under way at the close must not leave a file open: nobody would close it.
    if (this.#closed) return Promise.reject(new Error("the segment files are closed"));
    const known = this.#files.get(segment);
    if (known) return known;
    const opening = this.#directory.open(segmentName(segment));
    this.#files.set(segment, opening);
    opening.catch(() => this.#files.delete(segment));
    return opening;
  }

  async #remove(segment: number): Promise<void> {
    const file = await this.#files.get(segment);
    this.#files.delete(segment);
    file?.close();
    await this.#directory.remove(segmentName(segment));
  }
}
