/** Finds stop texts in a stream, holding back what may be the beginning of one. */
export class StopTexts {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  /** Takes the next piece of text: what may be shown now, and whether a stop text was found (it is not shown). */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    this.#held += text;
    const found = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((index) => index >= 0);
    if (found.length > 0) {
      const shown = this.#held.slice(0, Math.min(...found));
      this.#held = "";
      return { text: shown, stopped: true };
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(this.#held, stop)));
    const shown = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return { text: shown, stopped: false };
  }

  /** What was held back: the stream has ended without a stop text. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** The length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
