import { SluiceError, throwIfAborted } from "../errors.ts";
import { type ByteSource, checkRange } from "./byte-source.ts";

/** Reads from a `File` that the user chose, or from a `Blob`; only the slices asked for enter memory. */
export function blobSource(blob: Blob, name = nameOf(blob)): ByteSource {
  return {
    name,
    bytes: blob.size,
    async read(offset, length, options) {
      throwIfAborted(options?.signal, `Reading ${name}`);
      checkRange(this, offset, length);
      const buffer = await readSlice(blob, offset, length, name);
      throwIfAborted(options?.signal, `Reading ${name}`);
      return new Uint8Array(buffer);
    },
  };
}

function nameOf(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" && blob.name !== "" ? blob.name : "blob";
}

async function readSlice(
  blob: Blob,
  offset: number,
  length: number,
  name: string,
): Promise<ArrayBuffer> {
  try {
    return await blob.slice(offset, offset + length).arrayBuffer();
  } catch (cause) {
    // A File names a file on disk; browsers refuse to read it once that has changed.
    throw new SluiceError(
      "bad-file",
      `${name}: the browser could not read it. It was moved or changed since it was chosen; choose it again.`,
      { cause },
    );
  }
}
