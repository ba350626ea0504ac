import { SluiceError } from "../errors.ts";

/** What a read is for: a token waits for it, it is fetched ahead of a likely need, or it completes what is kept. */
export type ReadPriority = "demand" | "prefetch" | "fill";

/** What every read takes. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: "demand". */
  readonly priority?: ReadPriority;
}

/** One file of those that make up a source. */
export interface SourcePart {
  readonly name: string;
  readonly bytes: number;
}

/** Bytes that can be read at any place: a file on a server, on disk, chosen by the user, or in memory. */
export interface ByteSource {
  /** For messages: the address or the file name. */
  readonly name: string;
  readonly bytes: number;
  /** The files whose bytes follow one another here: the parts of a split model. Undefined for one file. */
  readonly parts?: readonly SourcePart[] | undefined;
  /**
   * The bytes `[offset, offset + length)`, in a buffer that the caller owns and may transfer.
   *
   * Throws "truncated-file" if they reach past the end, "aborted" if `signal` fires, and "network" or
   * "not-found" if the source is remote.
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Makes reads under way that touch `[offset, offset + length)` at least as urgent as `priority`: what was fetched ahead
   * has become wanted. Sources that do not queue have no use for it.
   */
  raise?(offset: number, length: number, priority: ReadPriority): void;
  /** Gives back what the source holds; reads fail afterwards. */
  close?(): Promise<void>;
}

/** Throws "truncated-file" unless `[offset, offset + length)` lies in the source. */
export function checkRange(
  source: Pick<ByteSource, "name" | "bytes">,
  offset: number,
  length: number,
): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new SluiceError(
      "bad-input",
      `${source.name}: cannot read ${length} bytes at ${offset}; both must be whole and not negative.`,
    );
  }
  if (offset + length > source.bytes) {
    throw new SluiceError(
      "truncated-file",
      `${source.name}: wanted bytes ${offset} to ${offset + length}, but it has ${source.bytes}. ` +
        "The file is cut short; download or copy it again.",
    );
  }
}
