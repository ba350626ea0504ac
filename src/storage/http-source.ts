import { abortError, SluiceError, throwIfAborted } from "../errors.ts";
import { type ByteSource, checkRange, type ReadOptions } from "./byte-source.ts";
import {
  exchange,
  type HttpContext,
  type RetryRule,
  Transient,
  withRetries,
} from "./http-exchange.ts";
import {
  changedError,
  contentLengthOf,
  contentRangeOf,
  expectSameFile,
  type FileIdentity,
  identityOf,
  validatorOf,
} from "./http-identity.ts";
import { openSequentialSource } from "./sequential-source.ts";

/** A file on a server. */
export interface HttpSource extends ByteSource {
  /** Bytes of the file that have come over the network, those of broken-off answers included. */
  readonly received: number;
  /** Whether the host serves parts; otherwise one stream brings the file from its start. */
  readonly ranged: boolean;
  /** What tells this version of the file from others. */
  readonly identity: FileIdentity;
  close(): Promise<void>;
}

export interface HttpOptions {
  /** Ends the source: the opening, and every read of it. */
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof fetch;
  /** Called with the length of every chunk that arrives. */
  readonly onBytes?: (bytes: number) => void;
  /** Requests at once; more than a few only take bandwidth from each other. */
  readonly requests?: number;
  readonly retry?: Partial<RetryRule>;
}

const RETRY: RetryRule = { attempts: 6, firstDelayMs: 250, stallMs: 30_000, offlineMs: 60_000 };
// As many as a browser opens to a host that speaks HTTP/1.1, and as the coalescing source sends.
const REQUESTS = 6;

/**
 * Opens the file at `url` for reading by Range requests.
 *
 * Broken answers are resumed from the byte reached, and failures that may pass are tried again with
 * growing pauses. On a host that ignores Range the whole file is streamed once, outside the JS heap;
 * see {@link openSequentialSource}. `Content-Range` and `ETag` are checked where CORS shows them.
 *
 * Throws "not-found", "network", "aborted", and "bad-input" for what is no address.
 *
 * @example
 * const source = await openHttpSource("https://example.org/model.gguf", { signal });
 * const head = await source.read(0, 1024);
 */
export async function openHttpSource(url: string, options: HttpOptions = {}): Promise<HttpSource> {
  let received = 0;
  const context: HttpContext = {
    url: absolute(url),
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    retry: { ...RETRY, ...options.retry },
    signal: options.signal,
    notBeforeMs: 0,
    received(bytes) {
      received += bytes;
      options.onBytes?.(bytes);
    },
  };
  const probed = await withRetries(context, context.signal, () => probe(context));
  const source =
    probed.ranged && probed.bytes !== undefined
      ? rangedSource(context, probed.bytes, probed, options.requests ?? REQUESTS)
      : await openSequentialSource(context, probed);
  return {
    ...source,
    identity: probed.identity,
    get received() {
      return received;
    },
  };
}

function absolute(url: string): string {
  const base = globalThis.location?.href;
  if (URL.canParse(url, base)) return new URL(url, base).href;
  throw new SluiceError(
    "bad-input",
    `${JSON.stringify(url)} is not an address. Use one such as https://host/model.gguf.`,
  );
}

/** What the first request told. */
interface Probed {
  readonly ranged: boolean;
  readonly bytes: number | undefined;
  readonly identity: FileIdentity;
  /** See {@link validatorOf}. */
  readonly validator: string | undefined;
}

async function probe(context: HttpContext): Promise<Probed> {
  const { signal } = context;
  return exchange<Probed>(context, {
    headers: { Range: "bytes=0-0" },
    signal,
    async use(response) {
      const told = { identity: identityOf(response), validator: validatorOf(response) };
      if (response.status === 416) return { ranged: true, bytes: 0, ...told };
      if (response.status !== 206) {
        return { ranged: false, bytes: contentLengthOf(response), ...told };
      }
      const bytes = contentRangeOf(response)?.bytes ?? (await lengthByHead(context));
      return { ranged: bytes !== undefined, bytes, ...told };
    },
  });
}

/** CORS hides `Content-Range` unless the host exposes it; `Content-Length` it never hides. */
async function lengthByHead(context: HttpContext): Promise<number | undefined> {
  const { signal } = context;
  return exchange(context, {
    method: "HEAD",
    headers: {},
    signal,
    use: async (response) => contentLengthOf(response),
  });
}

function rangedSource(
  context: HttpContext,
  bytes: number,
  { identity, validator }: Probed,
  requests: number,
): Omit<HttpSource, "received" | "identity"> {
  const { url } = context;
  const enter = createGate(requests, `Reading ${url}`);
  const closing = new AbortController();
  const condition = ifRange(url, validator);
  const conditional = "If-Range" in condition;

  async function fetchPart(
    part: Uint8Array<ArrayBuffer>,
    offset: number,
    signal: AbortSignal,
  ): Promise<void> {
    let got = 0;
    await withRetries(context, signal, async (progress) => {
      const start = offset + got;
      const headers = { Range: `bytes=${start}-${offset + part.length - 1}`, ...condition };
      await exchange(context, {
        headers,
        signal,
        async use(response, chunks) {
          expectPart(response, start, { url, bytes, identity, conditional });
          for await (const chunk of chunks) {
            if (chunk.length > part.length - got)
              throw wrongPart(url, "more bytes than were asked for");
            part.set(chunk, got);
            got += chunk.length;
            progress();
          }
          if (got < part.length) throw new Transient("the connection broke off");
        },
      });
    });
  }

  return {
    name: url,
    bytes,
    ranged: true,
    async read(offset, length, options?: ReadOptions) {
      checkRange({ name: url, bytes }, offset, length);
      const signal = joined(closing.signal, context.signal, options?.signal);
      throwIfAborted(signal, `Reading ${url}`);
      const part = new Uint8Array(length);
      if (length === 0) return part;
      const leave = await enter(signal);
      try {
        await fetchPart(part, offset, signal);
      } finally {
        leave();
      }
      return part;
    },
    async close() {
      closing.abort();
    },
  };
}

/** The union of the signals that are there. */
export function joined(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}

/**
 * `If-Range` makes the host answer 200 if the file has changed. Across origins it would cost a CORS
 * preflight that few hosts of models allow; there the answers' own tags are compared instead.
 */
function ifRange(url: string, validator: string | undefined): Record<string, string> {
  const origin = globalThis.location?.origin;
  const sameOrigin = origin === undefined || new URL(url).origin === origin;
  return validator !== undefined && sameOrigin ? { "If-Range": validator } : {};
}

function expectPart(
  response: Response,
  start: number,
  file: { url: string; bytes: number; identity: FileIdentity; conditional: boolean },
): void {
  const { url, bytes, identity, conditional } = file;
  expectSameFile(response, identity, url);
  // 416 answers a range past the end of a file that shrank, 200 an If-Range that no longer holds.
  if (response.status === 416) throw changedError(url);
  if (response.status !== 206) {
    const tag = identityOf(response).etag;
    if (conditional && tag !== identity.etag) throw changedError(url);
    // One of several servers behind the address may not know Range: another try may find another.
    throw new Transient("the host sent the whole file where a part was asked for");
  }
  const range = contentRangeOf(response);
  if (range === undefined) return;
  if (range.bytes !== undefined && range.bytes !== bytes) throw changedError(url);
  if (range.start !== start)
    throw wrongPart(url, `bytes from ${range.start} where ${start} was asked`);
}

function wrongPart(url: string, what: string): SluiceError {
  return new SluiceError(
    "network",
    `${url}: the host sent ${what}. A proxy may be at fault; download the file and choose it from disk.`,
  );
}

/** Lets `limit` callers in at once, in the order they came; each leaves by the function it gets. */
function createGate(limit: number, what: string): (signal: AbortSignal) => Promise<() => void> {
  let inside = 0;
  const waiting = new Set<() => void>();

  function leave(): void {
    inside -= 1;
    const next = waiting.values().next().value;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  }

  return async (signal) => {
    if (inside >= limit) {
      await new Promise<void>((resolve, reject) => {
        const onAbort = () => {
          waiting.delete(admit);
          reject(abortError(what));
        };
        const admit = () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
        waiting.add(admit);
        signal.addEventListener("abort", onAbort, { once: true });
      });
    }
    inside += 1;
    return leave;
  };
}
