import { SluiceError } from "../../src/errors.ts";
import type { ByteSource, ReadOptions, ReadPriority } from "../../src/storage/byte-source.ts";

/** A request that a {@link SlowLink} got. */
export interface LinkRequest {
  readonly start: number;
  readonly end: number;
  readonly priority: ReadPriority;
  readonly atMs: number;
}

/** How a {@link SlowLink} behaves. */
export interface LinkBehaviour {
  /** Before the first byte of a request. */
  readonly latencyMs: () => number;
  /** What all requests together bring. */
  readonly bytesPerMs: number;
  /** Whether the request fails half way. */
  readonly fails?: (request: LinkRequest) => boolean;
}

interface Flow extends LinkRequest {
  readonly from: number;
  readonly fails: boolean;
  left: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * A source behind a link that its requests share evenly, on the clock of the host's timers, which a test may fake. It
 * throws at a request for bytes that another is bringing.
 */
export class SlowLink implements ByteSource {
  readonly name = "slow link";
  readonly bytes: number;
  readonly log: LinkRequest[] = [];
  mostAtOnce = 0;
  readonly #content: Uint8Array;
  readonly #behaviour: LinkBehaviour;
  readonly #flows = new Set<Flow>();
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(content: Uint8Array, behaviour: LinkBehaviour) {
    this.#content = content;
    this.bytes = content.length;
    this.#behaviour = behaviour;
  }

  async read(offset: number, length: number, { signal, priority = "demand" }: ReadOptions = {}) {
    const request = { start: offset, end: offset + length, priority, atMs: performance.now() };
    for (const { start, end } of this.#flows) {
      if (start < request.end && offset < end) {
        throw new Error(`bytes ${offset} to ${request.end} overlap ${start} to ${end} under way`);
      }
    }
    this.log.push(request);
    await this.#flow(request, signal);
    return this.#content.slice(offset, offset + length);
  }

  async #flow(request: LinkRequest, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const flow: Flow = {
        ...request,
        from: request.atMs + this.#behaviour.latencyMs(),
        fails: this.#behaviour.fails?.(request) ?? false,
        left: request.end - request.start,
        resolve,
        reject,
      };
      this.#flows.add(flow);
      this.mostAtOnce = Math.max(this.mostAtOnce, this.#flows.size);
      const onAbort = () => this.#end(flow, new SluiceError("aborted", "The request was aborted."));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#ticking ??= setInterval(() => this.#tick(), 1);
    });
  }

  #tick(): void {
    const flowing = [...this.#flows].filter(({ from }) => from <= performance.now());
    const share = this.#behaviour.bytesPerMs / flowing.length;
    for (const flow of flowing) {
      flow.left -= share;
      const isHalf = flow.left <= (flow.end - flow.start) / 2;
      if (flow.fails && isHalf) {
        const { start, end } = flow;
        this.#end(flow, new SluiceError("network", `Bytes ${start} to ${end} did not come.`));
      } else if (flow.left <= 0) this.#end(flow);
    }
  }

  #end(flow: Flow, error?: SluiceError): void {
    if (!this.#flows.delete(flow)) return;
    if (this.#flows.size === 0) {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
    if (error) flow.reject(error);
    else flow.resolve();
  }
}
