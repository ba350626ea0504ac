import { SluiceError } from "../errors.ts";
import type { Metadata } from "../gguf/metadata.ts";
import { type Literals, restore } from "./literals.ts";
import { createMerger } from "./merger.ts";
import { preTokenizers } from "./pre-tokenizers.ts";
import {
  controlTokens,
  type Fragment,
  longestFirst,
  splitAtTokens,
  userDefinedTokens,
} from "./special-tokens.ts";
import { createStreamDecoder, type DecodeOptions, type StreamDecoder } from "./stream-decoder.ts";
import { createThoughtWriter, findThoughtMarks } from "./thoughts.ts";
import { tokenBytes } from "./token-bytes.ts";
import { TOKEN_TYPES } from "./token-types.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

export type { DecodeOptions, StreamDecoder } from "./stream-decoder.ts";

export interface EncodeOptions {
  /** Put the bos token in front; false if absent. {@link TextTokenizer.addBos} tells what the model wants. */
  readonly addBos?: boolean;
  /** Let text such as `<|im_end|>` name control tokens: for templates only, never for what users write. */
  readonly parseSpecial?: boolean;
  /**
   * Characters that stand for others, put back after control tokens have been found: what a user
   * wrote stays text inside a template. See `renderChat`.
   */
  readonly literals?: Literals;
}

/** Text to token ids and back, for the vocabulary of one model. */
export interface TextTokenizer {
  /** Count of tokens. */
  readonly vocab: number;
  readonly bos: number | undefined;
  /** Whether the model wants text to start with {@link bos}. */
  readonly addBos: boolean;
  /** Tokens after which the model has said what it has to say. */
  readonly endTokens: ReadonlySet<number>;
  /**
   * The ids that llama.cpp gives for the same text, save that no control token is named without
   * `parseSpecial`: llama.cpp lets any text name those that frame gpt-oss's channels. No eos token is put
   * behind, even if the file asks for it, since a reply is to follow. Lone surrogates count as U+FFFD.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Text of whole output; the space that a SentencePiece vocabulary puts in front is taken off. Thoughts
   * come as `<think>…</think>`, whatever tokens the model marks them by.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** UTF-8 of one token, control tokens spelled out; may hold part of a character. Throws "bad-input" for no token. */
  tokenText(id: number): Uint8Array<ArrayBuffer>;
  /** Decodes tokens as they come, keeping back bytes until they make a character. */
  streamDecoder(options?: DecodeOptions): StreamDecoder;
}

/**
 * The tokenizer that a GGUF file describes.
 *
 * Throws "unsupported-tokenizer" for a kind or a pre-tokenizer that is not known, and "bad-file" for
 * a vocabulary that does not hold together.
 */
export function createTokenizer(metadata: Metadata): TextTokenizer {
  const vocabulary = readVocabulary(metadata);
  const merger = createMerger(vocabulary, metadata);
  const { bos, tokens } = vocabulary;
  const userDefined = userDefinedTokens(vocabulary);
  const all = longestFirst([...userDefined, ...controlTokens(vocabulary)]);
  const spacePrefix =
    vocabulary.words === undefined &&
    (metadata.optionalBoolean("tokenizer.ggml.add_space_prefix") ?? true);

  function fragments(text: string, options: EncodeOptions): Fragment[] {
    const first = splitAtTokens(text, options.parseSpecial ? all : userDefined);
    const { literals } = options;
    if (literals === undefined || literals.size === 0) return first;
    return first.flatMap((fragment) =>
      "text" in fragment
        ? splitAtTokens(restore(fragment.text, literals), userDefined)
        : [fragment],
    );
  }

  function tokenText(id: number): Uint8Array<ArrayBuffer> {
    if (id in tokens) return tokenBytes(vocabulary, id);
    throw new SluiceError(
      "bad-input",
      `${id} is no token: the vocabulary has the ids 0 to ${tokens.length - 1}.`,
    );
  }

  const marks = findThoughtMarks(vocabulary);
  const hidden = (id: number) => isHidden(vocabulary.types[id]);
  const streamDecoder = (options: DecodeOptions = {}) =>
    createStreamDecoder({ tokenText, hidden, options, thoughts: createThoughtWriter(marks) });

  return {
    vocab: tokens.length,
    bos,
    addBos: bos !== undefined && wantsBos(vocabulary, metadata),
    endTokens: vocabulary.ends,
    encode(text, options = {}) {
      const ids = options.addBos && bos !== undefined ? [bos] : [];
      let afterToken = true;
      for (const fragment of fragments(wellFormed(text), options)) {
        if ("token" in fragment) ids.push(fragment.token);
        else for (const id of merger.encode(fragment.text, afterToken)) ids.push(id);
        afterToken = "token" in fragment;
      }
      return ids;
    },
    decode(ids, options = {}) {
      const stream = streamDecoder(options);
      let text = "";
      for (const id of ids) text += stream.push(id);
      text += stream.flush();
      return spacePrefix && text.startsWith(" ") ? text.slice(1) : text;
    },
    tokenText,
    streamDecoder,
  };
}

/** Gemma 4 wants it though some of its files say otherwise. Source: the override in llama-vocab.cpp. */
function wantsBos({ words }: Vocabulary, metadata: Metadata): boolean {
  if (words === preTokenizers.gemma4) return true;
  const usual = words === undefined || (words.addBos ?? false);
  return metadata.optionalBoolean("tokenizer.ggml.add_bos_token") ?? usual;
}

/** UTF-8 has no lone surrogates; a pasted half of an emoji must not end in an error. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\uFFFD");
}

function isHidden(type: number | undefined): boolean {
  return type === TOKEN_TYPES.control || type === TOKEN_TYPES.unknown;
}
