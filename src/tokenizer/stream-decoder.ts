export interface DecodeOptions {
  /** Spell out control tokens, which are left out otherwise. */
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
export function createStreamDecoder(vocabulary: {
  tokenText(id: number): Uint8Array<ArrayBuffer>;
  hidden(id: number): boolean;
  options: DecodeOptions;
}): StreamDecoder {
  const { tokenText, hidden, options } = vocabulary;
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push(id) {
      const bytes = tokenText(id);
      return hidden(id) && !options.special ? "" : utf8.decode(bytes, { stream: true });
    },
    flush: () => utf8.decode(),
  };
}
