import type { Random } from "../../../../src/numeric/random.ts";
import { createRandom } from "../../../../src/numeric/random.ts";
import type { StoredIdentity } from "../../../../src/storage/store/identity.ts";
import { RecordTable } from "../../../../src/storage/store/record-table.ts";
import { RecordWriter } from "../../../../src/storage/store/record-writer.ts";
import type { StoreDirectory } from "../../../../src/storage/store/store-files.ts";
import { Killed } from "../../../helpers/store-disks.ts";

export const IDENTITY: StoredIdentity = {
  url: "https://example.org/model.gguf",
  fileBytes: 1_000_000,
  etag: '"first"',
  modified: undefined,
};

const SEGMENT_BYTES = 40_000;
const KEYS = 24;
const contents = new Map<string, Uint8Array<ArrayBuffer>>();

/** A writer as a tab opens it; the oldest record is the coldest. */
export async function openWriter(
  directory: StoreDirectory,
  budgetBytes = Number.POSITIVE_INFINITY,
): Promise<RecordWriter> {
  const table = await RecordTable.open(directory, {
    coldest: () => table.records.keys().next().value,
    breathe: async () => {},
    segmentBytes: SEGMENT_BYTES,
  });
  const writer = new RecordWriter(table, budgetBytes, () => {});
  if (!table.identity) await writer.reset(IDENTITY);
  return writer;
}

/** The bytes that belong to a key: what is kept under a key is always the same. Some are longer than a segment. */
export function bytesOf(key: string): Uint8Array<ArrayBuffer> {
  const known = contents.get(key);
  if (known) return known;
  const random = createRandom(Number(key.replace(/\D/g, "")));
  const length = 1 + random.integer(random.integer(8) === 0 ? 3 * SEGMENT_BYTES : 9_000);
  const bytes = Uint8Array.from({ length }, () => random.integer(256));
  contents.set(key, bytes);
  return bytes;
}

/**
 * Opens a writer and does random things to it, some of them at once, until it is killed or has done `steps`.
 * Gives the keys of what was committed by then.
 */
export async function liveThrough(
  makeDirectory: (onKill: () => void) => StoreDirectory,
  random: Random,
  steps: number,
): Promise<string[]> {
  let writer: RecordWriter | undefined;
  let kept: string[] | undefined;
  const keys = () => [...(writer?.table.records.keys() ?? [])];
  const directory = makeDirectory(() => {
    kept = keys();
  });
  try {
    writer = await openWriter(directory);
    for (let step = 0; step < steps && !kept; step += 1) {
      const acts = Array.from({ length: 1 + random.integer(4) }, () => act(writer!, random));
      const ends = await Promise.allSettled(acts);
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    }
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  }
  return kept ?? keys();
}

async function act(writer: RecordWriter, random: Random): Promise<void> {
  const key = `expert:0/${random.integer(KEYS)}`;
  const choice = random.integer(12);
  if (choice < 7) await writer.write(key, bytesOf(key));
  else if (choice < 9) await writer.remove(key);
  else if (choice < 10) await writer.setBudget(20_000 + random.integer(300_000));
  else await writer.read(key);
}

/** What is wrong with a store: records with other bytes than their keys', and of `expected` those that are not there. */
export async function faultsOf(
  writer: RecordWriter,
  expected: Iterable<string> = [],
): Promise<string[]> {
  const faults: string[] = [];
  const found = new Set<string>();
  for (const key of [...writer.table.records.keys()]) {
    const bytes = await writer.read(key);
    if (!bytes) {
      if (writer.table.records.has(key)) faults.push(`${key} is damaged and was not dropped`);
      continue;
    }
    found.add(key);
    if (Buffer.compare(bytes, bytesOf(key)) !== 0) faults.push(`${key} has wrong bytes`);
  }
  for (const key of expected) if (!found.has(key)) faults.push(`${key} is lost`);
  return faults;
}
