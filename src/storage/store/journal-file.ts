import {
  encodeEntries,
  type JournalEntry,
  type JournalState,
  replayJournal,
  snapshotEntries,
} from "./journal.ts";
import { NoRoom, type StoreDirectory, type StoreFile } from "./store-files.ts";

/** What a journal starts with. */
export type JournalSnapshot = Pick<JournalState, "identity" | "about" | "records">;

const JOURNAL_NAME = /^journal-(\d+)$/;

/** A journal with more lines than this and twice what is live is written anew. */
const SPARE_LINES = 4096;

/** What is kept, and in which of the journals it was found; several are there when a tab was killed at a change. */
export interface FoundJournal {
  readonly number: number;
  readonly state: JournalState;
}

/** Reads the newest whole journal without opening it for writing; undefined if there is none. */
export async function findJournal(directory: StoreDirectory): Promise<FoundJournal | undefined> {
  for (const number of journalsAmong(await directory.names())) {
    const file = await directory.snapshot(journalName(number));
    const state = file && replayJournal(new Uint8Array(await file.arrayBuffer()));
    if (state) return { number, state };
  }
  return undefined;
}

/**
 * The journal of a writer. A change of its start (another file, or a snapshot in place of many lines) is a new file
 * with the next number, which counts once it ends its snapshot; the file before it is removed then.
 */
export class JournalFile {
  readonly #file: StoreFile;
  #bytes: number;
  #lines: number;

  private constructor(file: StoreFile, filled: { bytes: number; lines: number }) {
    this.#file = file;
    this.#bytes = filled.bytes;
    this.#lines = filled.lines;
  }

  /**
   * Opens the journal that was found, cuts what a killed tab left of a line, and removes other journals. A damaged one
   * is written anew where there is room: of two records that claim the same bytes the loser would come back once the
   * winner is dropped.
   */
  static async open(
    directory: StoreDirectory,
    { number, state }: FoundJournal,
  ): Promise<JournalFile> {
    if (state.damaged) {
      try {
        return await JournalFile.start(directory, state);
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error;
      }
    }
    const file = await directory.open(journalName(number));
    if (file.length() > state.end) file.truncate(state.end);
    await removeOthers(directory, number);
    return new JournalFile(file, { bytes: state.end, lines: state.lines });
  }

  /**
   * Starts a new journal with what is known, in place of `before`, and removes all others.
   * Throws "NoRoom" and leaves them as they are if it finds no space.
   */
  static async start(
    directory: StoreDirectory,
    known: JournalSnapshot,
    before?: JournalFile,
  ): Promise<JournalFile> {
    const number = 1 + (journalsAmong(await directory.names())[0] ?? 0);
    const entries = snapshotEntries(known);
    const bytes = encodeEntries(entries);
    const file = await directory.open(journalName(number));
    try {
      file.write(bytes, 0);
      file.flush();
    } catch (error) {
      file.close();
      await directory.remove(journalName(number));
      throw error;
    }
    before?.close();
    await removeOthers(directory, number);
    return new JournalFile(file, { bytes: bytes.length, lines: entries.length });
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a journal of `records` records would be much shorter. */
  overgrown(records: number): boolean {
    return this.#lines > 2 * records + SPARE_LINES;
  }

  /** Adds lines and flushes. Throws "NoRoom" and adds none if the browser gives no space. */
  append(entries: readonly JournalEntry[]): void {
    const bytes = encodeEntries(entries);
    try {
      this.#file.write(bytes, this.#bytes);
      this.#file.flush();
    } catch (error) {
      this.#file.truncate(this.#bytes);
      throw error;
    }
    this.#bytes += bytes.length;
    this.#lines += entries.length;
  }

  close(): void {
    this.#file.close();
  }
}

function journalName(number: number): string {
  return `journal-${number}`;
}

/** The numbers of the journals among `names`, newest first. */
function journalsAmong(names: readonly string[]): number[] {
  const numbers = names.flatMap((name) => JOURNAL_NAME.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((a, b) => b - a);
}

async function removeOthers(directory: StoreDirectory, number: number): Promise<void> {
  for (const other of journalsAmong(await directory.names())) {
    if (other !== number) await directory.remove(journalName(other));
  }
}
