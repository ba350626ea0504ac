import type { PartIdentity } from "../split-http-source.ts";

/**
 * The version of what records hold and of the journal. To be raised whenever the layout of a record in the runtime
 * changes: what was kept in another version is dropped when it is opened.
 */
export const LAYOUT_VERSION = 1;

/** Tells one version of a remote model from another. */
export interface StoredIdentity extends PartIdentity {
  /** Of each file of a split model, in order; the address is that of the first, the bytes are those of all. */
  readonly parts?: readonly PartIdentity[] | undefined;
}

/** Whether two identities may be of the same model: validators count where both are known. */
export function sameIdentity(a: StoredIdentity, b: StoredIdentity): boolean {
  const parts = a.parts ?? [];
  const others = b.parts ?? [];
  return (
    sameFile(a, b) &&
    parts.length === others.length &&
    parts.every((part, index) => sameFile(part, others[index]!))
  );
}

function sameFile(a: PartIdentity, b: PartIdentity): boolean {
  const differs = (one: string | undefined, other: string | undefined) =>
    one !== undefined && other !== undefined && one !== other;
  return (
    a.url === b.url &&
    a.fileBytes === b.fileBytes &&
    !differs(a.etag, b.etag) &&
    !differs(a.modified, b.modified)
  );
}

/** The name under which a model is kept: 32 hexadecimal digits of the SHA-256 of its address. */
export async function storeId(url: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url));
  return Array.from(new Uint8Array(digest, 0, 16), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
