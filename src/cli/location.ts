import { fileURLToPath } from "node:url";
import type { ByteSource } from "../storage/byte-source.ts";

/** Where a model is. */
export type ModelLocation =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly url: string };

/** Reads the command's MODEL: an http(s) address, a `file:` one, or a path. */
export function readLocation(model: string): ModelLocation {
  if (/^https?:\/\//i.test(model)) return { kind: "url", url: model };
  if (/^file:\/\//i.test(model)) return { kind: "file", path: fileURLToPath(model) };
  return { kind: "file", path: model };
}

/** Opens a model in Node; the caller closes it. Throws "not-found", "bad-file", "network". */
export async function openLocation(
  location: ModelLocation,
  signal?: AbortSignal,
): Promise<ByteSource> {
  if (location.kind === "file") {
    const { openFileSource } = await import("../storage/file-source.ts");
    return openFileSource(location.path);
  }
  const { openHttpSource } = await import("../storage/http-source.ts");
  return openHttpSource(location.url, { signal });
}

/** Tells of a missing or unreadable file before a browser is started for it. Throws "not-found". */
export async function refuseMissing(location: ModelLocation): Promise<void> {
  if (location.kind === "file") await (await openLocation(location)).close?.();
}
