import { blobSource } from "../storage/blob-source.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import { coalescing } from "../storage/coalescing-source.ts";
import { type HttpSource, openHttpSource } from "../storage/http-source.ts";
import { memorySource } from "../storage/memory-source.ts";
import type { EngineSource } from "./types.ts";

/** Open at once: a browser has six connections to a host that speaks HTTP/1.1. */
const REQUESTS = 6;

/** A source that says how much of what it brought came from where. */
export interface CountedSource extends ByteSource {
  readonly kind: "network" | "disk" | "memory";
  /** Bytes brought so far. */
  readonly received: number;
}

/** Opens what a model is loaded from. Throws what the source throws. */
export async function openSource(
  from: EngineSource,
  signal: AbortSignal | undefined,
): Promise<CountedSource> {
  if (typeof from === "string") {
    return networkSource(await openHttpSource(from, { signal, requests: REQUESTS }));
  }
  if (from instanceof Blob) return counted(blobSource(from), "disk");
  if (from instanceof ArrayBuffer || ArrayBuffer.isView(from)) {
    return counted(memorySource(from as ArrayBuffer | Uint8Array), "memory");
  }
  return counted(from, "disk");
}

/** A host that serves parts is asked for few; one that streams from the start has nothing to put in order. */
function networkSource(http: HttpSource): CountedSource {
  const source = http.ranged ? coalescing(http, { requests: REQUESTS }) : http;
  return {
    name: source.name,
    bytes: source.bytes,
    kind: "network",
    get received() {
      return http.received;
    },
    read: (offset, length, options) => source.read(offset, length, options),
    raise: (offset, length, priority) => source.raise?.(offset, length, priority),
    close: () => source.close(),
  };
}

function counted(source: ByteSource, kind: CountedSource["kind"]): CountedSource {
  let received = 0;
  return {
    name: source.name,
    bytes: source.bytes,
    kind,
    get received() {
      return received;
    },
    async read(offset, length, options) {
      const bytes = await source.read(offset, length, options);
      received += length;
      return bytes;
    },
    async close() {
      await source.close?.();
    },
  };
}
