import { blobSource } from "../storage/blob-source.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import { openHttpSource } from "../storage/http-source.ts";
import { memorySource } from "../storage/memory-source.ts";
import type { EngineSource } from "./types.ts";

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
    const source = await openHttpSource(from, { signal });
    return Object.assign(source, { kind: "network" as const });
  }
  if (from instanceof Blob) return counted(blobSource(from), "disk");
  if (from instanceof ArrayBuffer || ArrayBuffer.isView(from)) {
    return counted(memorySource(from as ArrayBuffer | Uint8Array), "memory");
  }
  return counted(from, "disk");
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
