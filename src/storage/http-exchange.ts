import { abortError, SluiceError, throwIfAborted } from "../errors.ts";

/** How long a request is tried. */
export interface RetryRule {
  /** Tries in a row that bring no byte before the read fails. */
  readonly attempts: number;
  /** Pause after the first failure; it doubles with each, up to 8 seconds. */
  readonly firstDelayMs: number;
  /** A request that brings nothing for this long is started again. */
  readonly stallMs: number;
  /** How long failures are not counted while the host system says that it is offline. */
  readonly offlineMs: number;
}

/** What the requests for one file share. */
export interface HttpContext {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly retry: RetryRule;
  /** Ends the whole source, where a read's own signal ends only that read. */
  readonly signal: AbortSignal | undefined;
  /** When the host may be asked again: one answer that asks for a pause holds all requests back. */
  notBeforeMs: number;
  /** Told of every chunk of a file's bytes. */
  received(bytes: number): void;
}

/** One request, and what is made of its answer while the connection is watched. */
export interface Exchange<T> {
  readonly headers: Readonly<Record<string, string>>;
  readonly method?: "GET" | "HEAD";
  readonly signal: AbortSignal | undefined;
  use(response: Response, chunks: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<T>;
}

/** A failure that may pass: it is tried again. */
export class Transient extends Error {
  readonly retryAfterMs: number;

  constructor(message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

const LONGEST_DELAY_MS = 8_000;
const LONGEST_RETRY_AFTER_MS = 30_000;

/**
 * Runs `attempt` until it succeeds or fails for good; calling `progress` starts the count afresh.
 *
 * Throws "network" after the last attempt, "aborted" if a signal fires, and any SluiceError of `attempt`.
 */
export async function withRetries<T>(
  context: HttpContext,
  signal: AbortSignal | undefined,
  attempt: (progress: () => void) => Promise<T>,
): Promise<T> {
  const { attempts, firstDelayMs, offlineMs } = context.retry;
  let reachedMs = performance.now();
  for (let failures = 0; ; ) {
    try {
      const pauseMs = context.notBeforeMs - performance.now();
      if (pauseMs > 0) await sleep(pauseMs, signal, context.url);
      return await attempt(() => {
        failures = 0;
        reachedMs = performance.now();
      });
    } catch (error) {
      throwIfAborted(signal, `Reading ${context.url}`);
      if (!(error instanceof Transient)) throw error;
      failures += 1;
      const now = performance.now();
      const mayComeBack = isOffline() && now - reachedMs < offlineMs;
      if (failures >= attempts && !mayComeBack) throw networkError(context.url, error, failures);
      context.notBeforeMs = Math.max(context.notBeforeMs, now + error.retryAfterMs);
      const delayMs = Math.min(firstDelayMs * 2 ** (failures - 1), LONGEST_DELAY_MS);
      await sleep(delayMs, signal, context.url, "or online");
    }
  }
}

/** Only a sure "no connection at all" counts: hosts that cannot tell say that they are online. */
function isOffline(): boolean {
  return globalThis.navigator?.onLine === false;
}

/**
 * Sends one request and lets `use` read the answer; the connection is closed when `use` returns.
 *
 * Throws {@link Transient} for what may pass (no connection, a break, a stall, 408, 425, 429, 5xx),
 * "not-found" for 404 and 410, "network" for the other refusals.
 */
export async function exchange<T>(context: HttpContext, request: Exchange<T>): Promise<T> {
  const { signal, headers, method = "GET" } = request;
  throwIfAborted(signal, `Reading ${context.url}`);
  const connection = openConnection(signal, context.retry.stallMs);
  try {
    const response = await context.fetch(context.url, {
      method,
      headers,
      // The runtime keeps parts itself, with checksums: a copy in the browser's cache would push out other sites'
      // files, and could answer with a part of an older version of this one.
      cache: "no-store",
      signal: connection.signal,
    });
    refuseStatus(response, context.url);
    return await request.use(response, chunksOf(response, connection, context));
  } catch (error) {
    if (signal?.aborted) throw abortError(`Reading ${context.url}`);
    if (error instanceof SluiceError || error instanceof Transient) throw error;
    const reason = connection.stalled
      ? "no bytes came for too long"
      : "the connection failed or the host forbids this page to read it (CORS)";
    throw new Transient(reason, { cause: error });
  } finally {
    connection.close();
  }
}

/** Ends a request when its caller gives up or when nothing comes for too long. */
interface Connection {
  readonly signal: AbortSignal;
  readonly stalled: boolean;
  /** Rejects when the signal fires. */
  readonly ended: Promise<never>;
  feed(): void;
  close(): void;
}

function openConnection(signal: AbortSignal | undefined, stallMs: number): Connection {
  const control = new AbortController();
  const end = () => control.abort();
  let stalled = false;
  const starve = () => {
    stalled = true;
    end();
  };
  let timer = setTimeout(starve, stallMs);
  signal?.addEventListener("abort", end, { once: true });
  const ended = new Promise<never>((_, reject) => {
    control.signal.addEventListener("abort", () => reject(new Error("ended")), { once: true });
  });
  ended.catch(() => {});
  return {
    signal: control.signal,
    ended,
    get stalled() {
      return stalled;
    },
    feed() {
      clearTimeout(timer);
      timer = setTimeout(starve, stallMs);
    },
    close() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      // Closes the connection of an answer that was not read to its end.
      end();
    },
  };
}

async function* chunksOf(
  response: Response,
  connection: Connection,
  context: HttpContext,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  for (;;) {
    // Node 20 can leave a read pending for ever when its request is aborted, hence the race.
    const { done, value } = await Promise.race([reader.read(), connection.ended]);
    if (done) return;
    connection.feed();
    context.received(value.length);
    yield value;
  }
}

function refuseStatus(response: Response, url: string): void {
  const { status } = response;
  if (status === 404 || status === 410) {
    throw new SluiceError(
      "not-found",
      `${url}: the host has no such file (${status}). Check the address.`,
    );
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw new Transient(`the host answered ${status}`, { retryAfterMs: retryAfterMs(response) });
  }
  // 416 is an answer to a Range request for an empty file.
  if (response.ok || status === 416) return;
  const advice =
    status === 401 || status === 403
      ? "It wants a login or forbids the access: open the address in the browser, or download the file and choose it from disk."
      : "Check the address.";
  throw new SluiceError("network", `${url}: the host refused (${status}). ${advice}`);
}

/** The pause that the host asks for, in seconds or up to a date. CORS hides it unless the host exposes it. */
function retryAfterMs(response: Response): number {
  const wanted = response.headers.get("Retry-After") ?? "";
  const ms = /^\d+$/.test(wanted) ? 1000 * Number(wanted) : Date.parse(wanted) - Date.now();
  return ms > 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : 0;
}

function networkError(url: string, error: Transient, failures: number): SluiceError {
  return new SluiceError(
    "network",
    `${url}: cannot be read: ${isOffline() ? "this machine is offline" : error.message}; tried ${failures} times. ` +
      "Check the address and the connection and load again, or download the file and choose it from disk.",
    { cause: error.cause ?? error },
  );
}

/** @param until whether the pause ends early when the host system comes back online */
async function sleep(
  ms: number,
  signal: AbortSignal | undefined,
  url: string,
  until?: "or online",
): Promise<void> {
  throwIfAborted(signal, `Reading ${url}`);
  await new Promise<void>((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", settle);
      if (until) globalThis.removeEventListener?.("online", settle);
      if (signal?.aborted) reject(abortError(`Reading ${url}`));
      else resolve();
    };
    const timer = setTimeout(settle, ms);
    signal?.addEventListener("abort", settle, { once: true });
    if (until) globalThis.addEventListener?.("online", settle, { once: true });
  });
}
