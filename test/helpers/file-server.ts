import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom, type Random } from "../../src/numeric/random.ts";

/** How a {@link FileServer} behaves; change it between requests. */
export interface ServerBehaviour {
  /** Ignore Range and answer 200 with the whole file. */
  noRange?: boolean;
  /** Leave out Content-Length, as a host does that compresses on the fly. */
  noLength?: boolean;
  /** Hide Content-Range, as CORS does unless the host exposes it. */
  noContentRange?: boolean;
  /** Close the connection after this many bytes of a body. */
  breakAfterBytes?: number;
  /** How many bodies break off; all if absent. */
  breaks?: number;
  /** Wait before each answer: its first byte comes this late. */
  delayMs?: number;
  /** What all connections together bring; without end if absent. */
  bytesPerSecond?: number;
  /** The share of answers, 0 to 1, that break off at a random byte; see `seed`. */
  drops?: number;
  /** Decides which answers break off, and where; read when the server starts. */
  seed?: number;
  /** Seconds or a date, sent with each of `statuses`. */
  retryAfter?: string;
  /** Whether a page of another origin may see Content-Range, ETag and Retry-After; true if absent. */
  exposeHeaders?: boolean;
  /** Send the headers and then nothing, this many times. */
  stalls?: number;
  /** Answer the next requests by these statuses, one each, before answering well. */
  statuses?: number[];
  /** The tag to send; a weak one does not satisfy If-Range. */
  etag?: string;
  /** The date to send. */
  lastModified?: string;
  /** Honour Range but start this many bytes late. */
  rangeShift?: number;
}

/** One request, in the order in which they came. */
export interface RequestRecord {
  readonly method: string;
  /** Bytes `[start, end)` that were asked for; undefined without Range. */
  readonly range: { readonly start: number; readonly end: number } | undefined;
  /** Milliseconds from the server's start. */
  readonly atMs: number;
  readonly headers: IncomingMessage["headers"];
  /** Body bytes that were sent. */
  sentBytes: number;
  /** When the answer ended, well or not; undefined while it goes on. */
  endedMs: number | undefined;
}

/** A local server of one file that misbehaves on demand. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  readonly behaviour: ServerBehaviour;
  /** Requests that have come. */
  readonly requests: number;
  /** Every request, in the order in which they came. */
  readonly log: readonly RequestRecord[];
  /** Body bytes that have been sent. */
  readonly sentBytes: number;
  /** The most requests that were open at once. */
  readonly mostOpen: number;
  /** Breaks every connection and takes no other until `goOnline`. */
  goOffline(): void;
  goOnline(): void;
}

/** What the answers of a server share. */
interface Host {
  /** The file at a request's path; undefined where there is none. */
  fileAt(path: string): Uint8Array | undefined;
  readonly behaviour: ServerBehaviour;
  readonly random: Random;
  /** When the connection is free again; see `paced`. */
  freeMs: number;
}

/** Serves `file` at any path of 127.0.0.1 with CORS and Range; `await using` stops it. */
export async function serveFile(
  file: Uint8Array,
  behaviour: ServerBehaviour = {},
): Promise<FileServer> {
  return startServer("model.gguf", () => file, behaviour);
}

/** Serves files by their names; the server's address is that of the first. */
export async function serveFiles(
  files: ReadonlyMap<string, Uint8Array>,
  behaviour: ServerBehaviour = {},
): Promise<FileServer> {
  const [first = ""] = files.keys();
  return startServer(first, (path) => files.get(path.slice(1)), behaviour);
}

async function startServer(
  name: string,
  fileAt: Host["fileAt"],
  behaviour: ServerBehaviour,
): Promise<FileServer> {
  const host: Host = { fileAt, behaviour, random: createRandom(behaviour.seed ?? 1), freeMs: 0 };
  const started = performance.now();
  const log: RequestRecord[] = [];
  let [open, mostOpen, online] = [0, 0, true];
  const server = createServer((request, response) => {
    const record = recordOf(request, performance.now() - started);
    log.push(record);
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    response.on("close", () => {
      open -= 1;
      record.endedMs = performance.now() - started;
    });
    setTimeout(() => void answer(host, request, response, record), behaviour.delayMs ?? 0);
  });
  server.on("connection", (socket) => {
    if (!online) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${name}`,
    behaviour,
    log,
    get requests() {
      return log.length;
    },
    get sentBytes() {
      return log.reduce((sum, record) => sum + record.sentBytes, 0);
    },
    get mostOpen() {
      return mostOpen;
    },
    goOffline() {
      online = false;
      server.closeAllConnections();
    },
    goOnline() {
      online = true;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function recordOf(request: IncomingMessage, atMs: number): RequestRecord {
  const { method = "GET", headers } = request;
  const range = rangeOf(request);
  return { method, range, atMs, headers, sentBytes: 0, endedMs: undefined };
}

function rangeOf(request: IncomingMessage): RequestRecord["range"] {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  return match ? { start: Number(match[1]), end: Number(match[2]) + 1 } : undefined;
}

/** Answers one request; resolves when its body has gone or broken off. */
async function answer(
  host: Host,
  request: IncomingMessage,
  response: ServerResponse,
  record: RequestRecord,
): Promise<void> {
  const { behaviour } = host;
  allowOrigins(behaviour, response);
  const status = behaviour.statuses?.shift();
  if (status !== undefined || request.method === "OPTIONS") {
    if (behaviour.retryAfter) response.setHeader("Retry-After", behaviour.retryAfter);
    response.writeHead(status ?? 204).end();
    return;
  }
  const file = host.fileAt(new URL(request.url ?? "/", "http://host").pathname);
  if (!file) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader("ETag", behaviour.etag ?? '"first"');
  if (behaviour.lastModified) response.setHeader("Last-Modified", behaviour.lastModified);
  const body = setRange(file, host, request, response);
  if (!behaviour.noLength) response.setHeader("Content-Length", body.length);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  if ((behaviour.stalls ?? 0) > 0) {
    behaviour.stalls = (behaviour.stalls ?? 0) - 1;
    response.flushHeaders();
    return;
  }
  await sendBody(host, body, response, record);
}

function allowOrigins(behaviour: ServerBehaviour, response: ServerResponse): void {
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Allow-Headers", "Range, If-Range");
  if (behaviour.exposeHeaders ?? true) {
    response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag, Retry-After");
  }
}

/** Sets status and Content-Range and gives the body that goes with them. */
function setRange(
  file: Uint8Array,
  { behaviour }: Host,
  request: IncomingMessage,
  response: ServerResponse,
): Uint8Array {
  const range = rangeOf(request);
  const condition = request.headers["if-range"];
  const validators = [behaviour.etag ?? '"first"', behaviour.lastModified].filter(
    (validator) => !validator?.startsWith("W/"),
  );
  const holds = condition === undefined || validators.includes(String(condition));
  if (!range || behaviour.noRange || !holds) {
    response.statusCode = 200;
    return file;
  }
  const start = range.start + (behaviour.rangeShift ?? 0);
  const end = Math.min(range.end, file.length);
  if (start >= end) {
    response.statusCode = 416;
    return new Uint8Array(0);
  }
  response.statusCode = 206;
  if (!behaviour.noContentRange) {
    response.setHeader("Content-Range", `bytes ${start}-${end - 1}/${file.length}`);
  }
  return file.subarray(start, end);
}

async function sendBody(
  host: Host,
  body: Uint8Array,
  response: ServerResponse,
  record: RequestRecord,
): Promise<void> {
  const sent = body.subarray(0, breakingPoint(host, body.length));
  if (host.behaviour.bytesPerSecond === undefined) {
    record.sentBytes = sent.length;
    if (sent.length < body.length) response.write(sent, () => response.destroy());
    else response.end(sent);
    return;
  }
  for (let from = 0; from < sent.length && !response.destroyed; from += PIECE_BYTES) {
    const piece = sent.subarray(from, from + PIECE_BYTES);
    await paced(host, piece.length);
    record.sentBytes += piece.length;
    if (!response.write(piece)) await drained(response);
  }
  if (sent.length < body.length) response.destroy();
  else response.end();
}

/** Bytes of a body of `length` that go before its connection breaks. */
function breakingPoint({ behaviour, random }: Host, length: number): number {
  if (behaviour.drops !== undefined && random.uniform() < behaviour.drops) {
    return random.integer(length);
  }
  const limit = behaviour.breakAfterBytes;
  if (limit === undefined || length <= limit || behaviour.breaks === 0) return length;
  if (behaviour.breaks !== undefined) behaviour.breaks -= 1;
  return limit;
}

/** What connections take turns by. */
const PIECE_BYTES = 8192;

/** Resolves when the link that all connections share has brought the next `bytes`. */
async function paced(host: Host, bytes: number): Promise<void> {
  const now = performance.now();
  const speed = host.behaviour.bytesPerSecond ?? Number.POSITIVE_INFINITY;
  host.freeMs = Math.max(host.freeMs, now) + (1000 * bytes) / speed;
  // Timers are whole milliseconds and late: what is owed is slept off when it is worth a timer.
  await sleep(Math.max(0, Math.floor(host.freeMs - now)));
}

async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
}
