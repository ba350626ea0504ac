/** What the store asks of a file system: OPFS in a worker, or a fake that a test can kill at any byte. */
export interface StoreDirectory {
  names(): Promise<string[]>;
  /** Opens a file for this tab alone and makes it if there is none. The caller closes it. */
  open(name: string): Promise<StoreFile>;
  /** What the file holds, also while another tab has it open; undefined if there is no such file. */
  snapshot(name: string): Promise<Blob | undefined>;
  /** Removes a file that is not open; nothing happens if there is none. */
  remove(name: string): Promise<void>;
}

/** An open file. All calls are synchronous, as those of a sync access handle are. */
export interface StoreFile {
  length(): number;
  /** Fills `into` with the bytes from `at` on; false if the file ends before that. */
  read(into: Uint8Array, at: number): boolean;
  /** Throws {@link NoRoom} when the browser gives no more space; part of `bytes` may be written then. */
  write(bytes: Uint8Array, at: number): void;
  truncate(length: number): void;
  /** What was written before is on the disk when this returns. */
  flush(): void;
  close(): void;
}

/** The browser gives no more space. */
export class NoRoom extends Error {
  override readonly name = "NoRoom";
}
