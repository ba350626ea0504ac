import { fileURLToPath } from "node:url";
import type { ByteSource } from "../storage/byte-source.ts";
import { joinSources } from "../storage/joined-source.ts";
import { openParts } from "../storage/open-parts.ts";
import { splitNames } from "../storage/split-names.ts";

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

/** Opens a model in Node, all parts of a split one; the caller closes it. Throws "not-found", "bad-file", "network". */
export async function openLocation(
  location: ModelLocation,
  signal?: AbortSignal,
): Promise<ByteSource> {
  if (location.kind === "file") {
    const { openFileSource } = await import("../storage/file-source.ts");
    return joinSources(await openParts(location.path, openFileSource));
  }
  const { openSplitHttpSource } = await import("../storage/split-http-source.ts");
  return openSplitHttpSource(location.url, { signal });
}

/** The places of the files that make up the model at a location, in order. */
export function partLocations(location: ModelLocation): readonly ModelLocation[] {
  if (location.kind === "file") {
    const paths = splitNames(location.path)?.names ?? [location.path];
    return paths.map((path) => ({ kind: "file", path }));
  }
  const urls = splitNames(location.url)?.names ?? [location.url];
  return urls.map((url) => ({ kind: "url", url }));
}

/** Tells of a missing or unreadable file before a browser is started for it. Throws "not-found". */
export async function refuseMissing(location: ModelLocation): Promise<void> {
  if (location.kind === "file") await (await openLocation(location)).close?.();
}
