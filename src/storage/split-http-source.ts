import type { FileIdentity } from "./http-identity.ts";
import { type HttpOptions, type HttpSource, openHttpSource } from "./http-source.ts";
import { joinSources } from "./joined-source.ts";
import { openParts } from "./open-parts.ts";

/** Which version of which file on a server. */
export interface PartIdentity extends FileIdentity {
  /** Absolute. */
  readonly url: string;
  readonly fileBytes: number;
}

/** A model on a server: one file, or the parts of a split one. */
export interface SplitHttpSource extends HttpSource {
  /** One for each part. Undefined for one file, whose identity is {@link HttpSource.identity}. */
  readonly partIdentities?: readonly PartIdentity[] | undefined;
}

/**
 * Opens the model at `url`, with all of its parts if the address is that of one, each as `openHttpSource` opens a file.
 * Throws "not-found", "network", "aborted", and "bad-input" for what is no address.
 */
export async function openSplitHttpSource(
  url: string,
  options: HttpOptions = {},
): Promise<SplitHttpSource> {
  const files = await openParts(url, (address) => openHttpSource(address, options));
  if (files.length === 1) return files[0]!;
  const joined = joinSources(files);
  return {
    ...joined,
    ranged: files.every(({ ranged }) => ranged),
    identity: { etag: undefined, modified: undefined },
    partIdentities: files.map(({ identity, name, bytes }) => {
      return { ...identity, url: name, fileBytes: bytes };
    }),
    get received() {
      return files.reduce((sum, { received }) => sum + received, 0);
    },
    async close() {
      await joined.close?.();
    },
  };
}
