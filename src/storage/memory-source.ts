import { throwIfAborted } from "../errors.ts";
import { type ByteSource, checkRange } from "./byte-source.ts";

/** Reads from `bytes`, which stays the caller's; every read is a copy. */
export function memorySource(bytes: ArrayBuffer | Uint8Array, name = "memory"): ByteSource {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return {
    name,
    bytes: view.byteLength,
    async read(offset, length, options) {
      throwIfAborted(options?.signal, `Reading ${name}`);
      checkRange(this, offset, length);
      return Uint8Array.from(view.subarray(offset, offset + length));
    },
  };
}
