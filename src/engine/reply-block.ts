/** Most end tokens that the GPU looks for; what is behind another one is computed in vain, and not given out. */
const MOST_END_TOKENS = 64;

/** Bytes of the reply block. */
export const REPLY_BLOCK_BYTES = 4 * (1 + MOST_END_TOKENS);

/** What a reply's tokens are chosen by on the GPU. */
export interface ReplyBlock {
  readonly endTokens: Iterable<number>;
}

/** The words of `struct Reply` in `shaders/sample/reply.wgsl`. */
export function encodeReplyBlock({ endTokens }: ReplyBlock): Uint32Array<ArrayBuffer> {
  const ends = [...endTokens].slice(0, MOST_END_TOKENS);
  return Uint32Array.of(ends.length, ...ends);
}
