import { SluiceError } from "../errors.ts";

/** What tells one version of a remote file from another; undefined where CORS hides the header. */
export interface FileIdentity {
  readonly etag: string | undefined;
  readonly modified: string | undefined;
}

/** The span that a `Content-Range` header names; `bytes` is the whole file's, `*` gives undefined. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
  readonly bytes: number | undefined;
}

export function identityOf(response: Response): FileIdentity {
  return {
    // A proxy that compresses may weaken the tag of the same file.
    etag: response.headers.get("ETag")?.replace(/^W\//, ""),
    modified: response.headers.get("Last-Modified") ?? undefined,
  };
}

/** What `If-Range` may name: no weak tag, which never fulfils it, so that every answer would be the whole file. */
export function validatorOf(response: Response): string | undefined {
  const etag = response.headers.get("ETag");
  const isStrong = etag !== null && !etag.startsWith("W/");
  return (isStrong ? etag : response.headers.get("Last-Modified")) ?? undefined;
}

/** Throws "network" if `response` is of another version of the file than `identity`. */
export function expectSameFile(response: Response, identity: FileIdentity, url: string): void {
  const now = identityOf(response);
  const differs = (a: string | undefined, b: string | undefined) =>
    a !== undefined && b !== undefined && a !== b;
  if (differs(now.etag, identity.etag) || differs(now.modified, identity.modified)) {
    throw changedError(url);
  }
}

export function changedError(url: string): SluiceError {
  return new SluiceError(
    "network",
    `${url}: the file changed on the host while it was read. Load it again from the start.`,
  );
}

/** undefined if the header is absent, hidden by CORS, or not of the form `bytes 0-9/100`. */
export function contentRangeOf(response: Response): ContentRange | undefined {
  const header = response.headers.get("Content-Range") ?? "";
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header);
  if (!match) return undefined;
  const [start, end, bytes] = match.slice(1).map(Number);
  if (start === undefined || end === undefined || bytes === undefined) return undefined;
  return { start, end, bytes: Number.isNaN(bytes) ? undefined : bytes };
}

/** The length of the file in a whole answer; undefined if it is not told or is that of compressed bytes. */
export function contentLengthOf(response: Response): number | undefined {
  const length = response.headers.get("Content-Length");
  const encoding = response.headers.get("Content-Encoding") ?? "identity";
  return length === null || encoding !== "identity" ? undefined : Number(length);
}
