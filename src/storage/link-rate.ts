/** Time over which an older measurement loses most of its weight. */
const MEMORY_MS = 2_000;

/**
 * Measures what a connection brings while something is asked of it, latency included: bytes by the time in which at
 * least one request was open. Times are of one clock, in milliseconds.
 */
export class LinkRate {
  #open = 0;
  #since = 0;
  #bytes = 0;
  #ms = 0;

  /** Undefined until a request has brought something. */
  get bytesPerSecond(): number | undefined {
    return this.#ms > 0 && this.#bytes > 0 ? (1000 * this.#bytes) / this.#ms : undefined;
  }

  started(nowMs: number): void {
    if (this.#open === 0) this.#since = nowMs;
    this.#open++;
  }

  /** @param bytes what the request brought; 0 if it failed */
  ended(bytes: number, nowMs: number): void {
    const elapsed = nowMs - this.#since;
    const kept = Math.exp(-elapsed / MEMORY_MS);
    this.#bytes = this.#bytes * kept + bytes;
    this.#ms = this.#ms * kept + elapsed;
    this.#since = nowMs;
    this.#open--;
  }
}
