import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";

/** Answers with a local file, or the part of it that the request's `Range` names. */
export async function serveFile(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { size: bytes, mtimeMs } = await stat(path);
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const start = first === undefined ? 0 : Number(first);
  const end = last ? Math.min(Number(last), bytes - 1) : bytes - 1; // inclusive
  response.setHeader("Accept-Ranges", "bytes");
  response.setHeader("ETag", `"${bytes}-${mtimeMs}"`);
  if (first !== undefined && start > end) {
    response.writeHead(416, { "Content-Range": `bytes */${bytes}` }).end();
    return;
  }
  response.writeHead(first === undefined ? 200 : 206, {
    "Content-Type": "application/octet-stream",
    "Content-Length": Math.max(0, end - start + 1),
    ...(first !== undefined && { "Content-Range": `bytes ${start}-${end}/${bytes}` }),
  });
  if (request.method === "HEAD" || bytes === 0) response.end();
  else await pipeline(createReadStream(path, { start, end }), response);
}

const REQUEST_HEADERS = ["range", "if-range"] as const;
const RESPONSE_HEADERS = [
  ...["accept-ranges", "content-length", "content-range", "content-type"],
  ...["etag", "last-modified", "retry-after"],
];

/** Answers as the host of `url` does: same status, same part, broken off where the host breaks off. */
export async function serveUrl(
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const leaving = new AbortController();
  response.once("close", () => leaving.abort());
  const headers = new Headers({ "Accept-Encoding": "identity" });
  for (const name of REQUEST_HEADERS) {
    const value = request.headers[name];
    if (value !== undefined) headers.set(name, String(value));
  }
  const method = request.method ?? "GET";
  const answer = await fetch(url, { method, headers, signal: leaving.signal });

  response.statusCode = answer.status;
  for (const name of RESPONSE_HEADERS) {
    const value = answer.headers.get(name);
    // fetch unpacks a body that the host packed all the same; its length is another then.
    const isPackedLength = name === "content-length" && answer.headers.has("content-encoding");
    if (value !== null && !isPackedLength) response.setHeader(name, value);
  }
  if (answer.body) await pipeline(Readable.fromWeb(answer.body as ReadableStream), response);
  else response.end();
}
