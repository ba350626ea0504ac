import type { FileHandle } from "node:fs/promises";
import { SluiceError, throwIfAborted } from "../errors.ts";
import { type ByteSource, checkRange } from "./byte-source.ts";

/** A file of the local disk, for Node only; holds a handle until `close`. */
export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/**
 * Opens the file at `path`. Node's modules are imported when it is called, so that a bundle for the
 * browser that reaches this file still loads.
 *
 * Throws "not-found" if there is no such file and "bad-file" if it cannot be read.
 */
export async function openFileSource(path: string): Promise<FileSource> {
  const { open } = await import("node:fs/promises");
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (cause) {
    throw openError(path, cause);
  }
  const bytes = (await handle.stat()).size;
  return {
    name: path,
    bytes,
    async read(offset, length, options) {
      checkRange({ name: path, bytes }, offset, length);
      const out = new Uint8Array(length);
      for (let got = 0; got < length; ) {
        throwIfAborted(options?.signal, `Reading ${path}`);
        const { bytesRead } = await handle.read(out, got, length - got, offset + got);
        // The file shrank since it was opened.
        if (bytesRead === 0) checkRange({ name: path, bytes: offset + got }, offset, length);
        got += bytesRead;
      }
      throwIfAborted(options?.signal, `Reading ${path}`);
      return out;
    },
    close: () => handle.close(),
  };
}

function openError(path: string, cause: unknown): SluiceError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  return code === "ENOENT"
    ? new SluiceError("not-found", `${path}: there is no such file. Check the path.`, { cause })
    : new SluiceError("bad-file", `${path}: cannot be opened (${code}). Check its permissions.`, {
        cause,
      });
}
