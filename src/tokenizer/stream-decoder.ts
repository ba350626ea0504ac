import type { ThoughtWriter } from "./thoughts.ts";

export interface DecodeOptions {
  /** Spell out control tokens, which are left out otherwise, and leave the model's marks of thoughts as they are. */
  readonly special?: boolean;
}

/** Text from tokens that come one by one. */
export interface StreamDecoder {
  /** The characters that `id` completes; empty while one is incomplete. */
  push(id: number): string;
  /** What is left at the end: U+FFFD for bytes that make no character. */
  flush(): string;
}

/** Bytes that make no character come out as U+FFFD, as soon as no later byte can complete them. */
export function createStreamDecoder(parts: {
  tokenText(id: number): Uint8Array<ArrayBuffer>;
  hidden(id: number): boolean;
  thoughts: ThoughtWriter;
  options: DecodeOptions;
}): StreamDecoder {
  const { tokenText, hidden, thoughts, options } = parts;
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push(id) {
      const bytes = tokenText(id);
      if (options.special) return utf8.decode(bytes, { stream: true });
      return thoughts.push(id, hidden(id) ? "" : utf8.decode(bytes, { stream: true }));
    },
    flush: () => utf8.decode(),
  };
}
