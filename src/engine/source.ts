import type { ByteSource } from "../storage/byte-source.ts";
import { coalescing } from "../storage/coalescing-source.ts";
import { memorySource } from "../storage/memory-source.ts";
import { blobsSource } from "../storage/split-blobs.ts";
import { openSplitHttpSource, type SplitHttpSource } from "../storage/split-http-source.ts";
import { firstName } from "../storage/split-names.ts";
import { openRecordStore, type RecordStore } from "../storage/store/record-store.ts";
import { openStoredSource, type RemoteSource } from "../storage/store/stored-source.ts";
import type { EngineSource } from "./types.ts";

/** Open at once: a browser has six connections to a host that speaks HTTP/1.1. */
const REQUESTS = 6;

/** A source that says how much of what it brought came from where. */
export interface CountedSource extends ByteSource {
  readonly kind: "network" | "disk" | "memory";
  /** Bytes brought so far, less those from what is kept of a host's file. */
  readonly received: number;
  /** Bytes that came from what is kept of a host's file. */
  readonly fromDisk: number;
  /** The same file for what is kept in another form: experts. */
  readonly passing: ByteSource;
  /** What is kept of a host's file; closed with the source. */
  readonly store: RecordStore | undefined;
}

/** What is kept of a host's file. */
export interface KeepOptions {
  /** The most bytes on disk; 0 keeps nothing. */
  readonly budgetBytes: number;
  /** The record that leaves first when there is no room. */
  readonly coldest: () => string | undefined;
}

/** Opens what a model is loaded from. Throws what the source throws. */
export async function openSource(
  from: EngineSource,
  keep: KeepOptions,
  signal: AbortSignal | undefined,
): Promise<CountedSource> {
  if (typeof from === "string") return openNetwork(from, keep, signal);
  if (from instanceof Blob) return counted(blobsSource([from]), "disk");
  if (isList(from)) return counted(blobsSource(from), "disk");
  if (from instanceof ArrayBuffer || ArrayBuffer.isView(from)) {
    return counted(memorySource(from as ArrayBuffer | Uint8Array), "memory");
  }
  return counted(from, "disk");
}

function isList(from: EngineSource): from is readonly Blob[] {
  return Array.isArray(from);
}

async function openNetwork(
  address: string,
  { budgetBytes, coldest }: KeepOptions,
  signal: AbortSignal | undefined,
): Promise<CountedSource> {
  const open = async () => {
    return inOrder(await openSplitHttpSource(address, { signal, requests: REQUESTS }));
  };
  const url = absolute(address);
  const store =
    url && budgetBytes > 0 ? await openRecordStore({ url, budgetBytes, coldest }) : undefined;
  if (!url || !store) {
    const source = await open();
    return withCounts(source, {
      kind: "network",
      passing: source,
      store: undefined,
      received: () => source.received,
      fromDisk: () => 0,
    });
  }
  try {
    const source = await openStoredSource({ url, store, open });
    return withCounts(source, {
      kind: "network",
      passing: source.passing,
      store,
      received: () => source.received,
      fromDisk: () => source.fromDisk,
    });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** What the model is kept under, whichever of its parts was named. Undefined for what is no address: opening it says so. */
function absolute(address: string): string | undefined {
  const base = globalThis.location?.href;
  return URL.canParse(address, base) ? firstName(new URL(address, base).href) : undefined;
}

/** A host that serves parts is asked for few; one that streams from the start has nothing to put in order. */
function inOrder(http: SplitHttpSource): RemoteSource {
  const source = http.ranged ? coalescing(http, { requests: REQUESTS }) : http;
  return {
    name: source.name,
    bytes: source.bytes,
    parts: source.parts,
    identity: http.identity,
    partIdentities: http.partIdentities,
    get received() {
      return http.received;
    },
    read: (offset, length, options) => source.read(offset, length, options),
    raise: (offset, length, priority) => source.raise?.(offset, length, priority),
    close: () => source.close(),
  };
}

function withCounts(
  source: ByteSource,
  {
    received,
    fromDisk,
    ...rest
  }: Pick<CountedSource, "kind" | "passing" | "store"> & {
    readonly received: () => number;
    readonly fromDisk: () => number;
  },
): CountedSource {
  return {
    ...rest,
    name: source.name,
    bytes: source.bytes,
    parts: source.parts,
    get received() {
      return received();
    },
    get fromDisk() {
      return fromDisk();
    },
    read: (offset, length, options) => source.read(offset, length, options),
    raise: (offset, length, priority) => source.raise?.(offset, length, priority),
    async close() {
      await source.close?.();
    },
  };
}

function counted(source: ByteSource, kind: CountedSource["kind"]): CountedSource {
  let received = 0;
  const counting: ByteSource = {
    name: source.name,
    bytes: source.bytes,
    parts: source.parts,
    async read(offset, length, options) {
      const bytes = await source.read(offset, length, options);
      received += length;
      return bytes;
    },
    async close() {
      await source.close?.();
    },
  };
  return withCounts(counting, {
    kind,
    passing: counting,
    store: undefined,
    received: () => received,
    fromDisk: () => 0,
  });
}
