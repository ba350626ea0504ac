import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

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
  /** Wait before each answer. */
  delayMs?: number;
  /** Send the headers and then nothing, this many times. */
  stalls?: number;
  /** Answer the next requests by these statuses, one each, before answering well. */
  statuses?: number[];
  /** The tag to send. */
  etag?: string;
  /** Honour Range but start this many bytes late. */
  rangeShift?: number;
}

/** A local server of one file that misbehaves on demand. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  readonly behaviour: ServerBehaviour;
  /** Requests that have come. */
  readonly requests: number;
  /** Body bytes that have been sent. */
  readonly sentBytes: number;
  /** The most requests that were open at once. */
  readonly mostOpen: number;
}

/** Serves `file` at any path of 127.0.0.1 with CORS and Range; `await using` stops it. */
export async function serveFile(
  file: Uint8Array,
  behaviour: ServerBehaviour = {},
): Promise<FileServer> {
  const counts = { requests: 0, sentBytes: 0, open: 0, mostOpen: 0 };
  const server = createServer((request, response) => {
    counts.requests += 1;
    counts.open += 1;
    counts.mostOpen = Math.max(counts.mostOpen, counts.open);
    response.on("close", () => {
      counts.open -= 1;
    });
    setTimeout(() => {
      counts.sentBytes += answer(file, behaviour, request, response);
    }, behaviour.delayMs ?? 0);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/model.gguf`,
    behaviour,
    get requests() {
      return counts.requests;
    },
    get sentBytes() {
      return counts.sentBytes;
    },
    get mostOpen() {
      return counts.mostOpen;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers one request and gives the bytes of body that it sent. */
function answer(
  file: Uint8Array,
  behaviour: ServerBehaviour,
  request: IncomingMessage,
  response: ServerResponse,
): number {
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Allow-Headers", "Range, If-Range");
  response.setHeader("Access-Control-Expose-Headers", "Content-Range, ETag");
  const status = behaviour.statuses?.shift();
  if (status !== undefined || request.method === "OPTIONS") {
    response.writeHead(status ?? 204).end();
    return 0;
  }
  const etag = behaviour.etag ?? '"first"';
  response.setHeader("ETag", etag);
  const body = setRange(file, behaviour, request, response, etag);
  if (!behaviour.noLength) response.setHeader("Content-Length", body.length);
  if (request.method === "HEAD") {
    response.end();
    return 0;
  }
  if ((behaviour.stalls ?? 0) > 0) {
    behaviour.stalls = (behaviour.stalls ?? 0) - 1;
    response.flushHeaders();
    return 0;
  }
  return sendBody(body, behaviour, response);
}

/** Sets status and Content-Range and gives the body that goes with them. */
function setRange(
  file: Uint8Array,
  behaviour: ServerBehaviour,
  request: IncomingMessage,
  response: ServerResponse,
  etag: string,
): Uint8Array {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const condition = request.headers["if-range"];
  if (!match || behaviour.noRange || (condition !== undefined && condition !== etag)) {
    response.statusCode = 200;
    return file;
  }
  const start = Number(match[1]) + (behaviour.rangeShift ?? 0);
  const end = Math.min(Number(match[2]) + 1, file.length);
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

function sendBody(body: Uint8Array, behaviour: ServerBehaviour, response: ServerResponse): number {
  const limit = behaviour.breakAfterBytes;
  if (limit === undefined || body.length <= limit || behaviour.breaks === 0) {
    response.end(body);
    return body.length;
  }
  if (behaviour.breaks !== undefined) behaviour.breaks -= 1;
  response.write(body.subarray(0, limit), () => response.destroy());
  return limit;
}
