import { abortError, SluiceError, throwIfAborted } from "../errors.ts";
import { checkRange, type ReadOptions } from "./byte-source.ts";
import { exchange, type HttpContext, Transient, withRetries } from "./http-exchange.ts";
import { changedError, expectSameFile, type FileIdentity } from "./http-identity.ts";
import type { HttpSource } from "./http-source.ts";
import { openSpool, type Spool } from "./spool.ts";

/** Someone who waits until `end` bytes have arrived. */
interface Waiter {
  readonly end: number;
  arrived(): void;
  failed(error: unknown): void;
}

/**
 * Reads a file from a host that ignores Range: one stream brings it from the start, and a read waits
 * until its bytes are there.
 *
 * The bytes go to a {@link Spool}, since a model in the JS heap would end the tab. A stream that
 * breaks off starts again at byte 0 and drops what has arrived already, as there is no other way.
 * If the host does not tell the length, this resolves only when the whole file has arrived.
 */
export async function openSequentialSource(
  context: HttpContext,
  file: { readonly bytes: number | undefined; readonly identity: FileIdentity },
): Promise<Omit<HttpSource, "received" | "identity">> {
  const { url } = context;
  const closing = new AbortController();
  const signal = context.signal
    ? AbortSignal.any([context.signal, closing.signal])
    : closing.signal;
  const stream = new Stream(context, file, await openSpool(), signal);
  const finished = stream.run();
  // Readers are told of a failure by their own promises.
  finished.catch(() => {});
  const bytes = file.bytes ?? (await finished);
  return {
    name: url,
    bytes,
    ranged: false,
    async read(offset, length, options) {
      checkRange({ name: url, bytes }, offset, length);
      await stream.arrival(offset + length, options);
      return stream.spool.read(offset, length);
    },
    async close() {
      closing.abort();
      await finished.catch(() => {});
      await stream.spool.close();
    },
  };
}

/** The one download of a file, and those who wait for its bytes. */
class Stream {
  readonly spool: Spool;
  readonly #context: HttpContext;
  readonly #file: { readonly bytes: number | undefined; readonly identity: FileIdentity };
  readonly #signal: AbortSignal;
  readonly #waiters = new Set<Waiter>();
  #arrived = 0;
  #failure: unknown;

  constructor(
    context: HttpContext,
    file: { readonly bytes: number | undefined; readonly identity: FileIdentity },
    spool: Spool,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#file = file;
    this.spool = spool;
    this.#signal = signal;
  }

  /** Downloads to the end and gives the file's length. */
  async run(): Promise<number> {
    try {
      await withRetries(this.#context, this.#signal, (progress) => this.#attempt(progress));
      return this.#arrived;
    } catch (error) {
      this.#failure = error;
      for (const waiter of this.#waiters) waiter.failed(error);
      throw error;
    }
  }

  /** Resolves when the bytes up to `end` can be read. */
  async arrival(end: number, options: ReadOptions | undefined): Promise<void> {
    const signal = options?.signal;
    throwIfAborted(signal, `Reading ${this.#context.url}`);
    throwIfAborted(this.#signal, `Reading ${this.#context.url}`);
    if (end <= this.#arrived) return;
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        end,
        arrived() {
          done();
          resolve();
        },
        failed(error) {
          done();
          reject(error);
        },
      };
      const onAbort = () => waiter.failed(abortError(`Reading ${this.#context.url}`));
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  async #attempt(progress: () => void): Promise<void> {
    const { url } = this.#context;
    const { bytes, identity } = this.#file;
    await exchange(this.#context, {
      headers: {},
      signal: this.#signal,
      use: async (response, chunks) => {
        expectSameFile(response, identity, url);
        let passed = 0;
        for await (const chunk of chunks) {
          const fresh = chunk.subarray(Math.min(chunk.length, this.#arrived - passed));
          passed += chunk.length;
          if (bytes !== undefined && passed > bytes) throw longerError(url, bytes);
          if (fresh.length === 0) continue;
          await this.#store(fresh);
          progress();
        }
        if (passed < this.#arrived) throw changedError(url);
        if (bytes !== undefined && passed < bytes) throw new Transient("the connection broke off");
      },
    });
  }

  async #store(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.spool.append(bytes);
    this.#arrived += bytes.length;
    for (const waiter of this.#waiters) if (waiter.end <= this.#arrived) waiter.arrived();
  }
}

function longerError(url: string, bytes: number): SluiceError {
  return new SluiceError(
    "network",
    `${url}: the host sent more than the ${bytes} bytes that it promised. ` +
      "Download the file and choose it from disk.",
  );
}
