/** One model that is kept on disk. */
export interface StoredModel {
  readonly id: string;
  /** The address that it came from. */
  readonly url: string;
  readonly name: string;
  /** Bytes on disk, and of the whole file. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** Expert records kept, of all. */
  readonly records: number;
  readonly totalRecords: number;
  /** Milliseconds since 1970. */
  readonly lastUsed: number;
  /** Some tab has it loaded. */
  readonly inUse: boolean;
}

/** What this site keeps on disk. */
export interface StorageReport {
  readonly models: readonly StoredModel[];
  /** What the browser says that the site takes and may take; 0 when it does not say. */
  readonly usedBytes: number;
  readonly quotaBytes: number;
  /** The browser will not clear it by itself. */
  readonly persisted: boolean;
}

/** What `verifyStored` found. */
export interface VerifyReport {
  readonly checked: number;
  readonly damaged: number;
}
