import { BPE, Tokenizer } from "@huggingface/tokenizers";
import { SluiceError } from "../errors.ts";
import type { Metadata } from "../gguf/metadata.ts";
import { findPreTokenizer, type PreTokenizer } from "./pre-tokenizers.ts";
import { expectLength, TOKEN_TYPES, type Vocabulary } from "./vocabulary.ts";

/** Merges text that holds no special tokens into token ids. */
export interface Merger {
  /** @param atStart whether `text` begins the input or follows a special token */
  encode(text: string, atStart: boolean): number[];
  /** Whether text starts with the bos token where the file does not say. */
  readonly addBos: boolean;
}

/** Throws "unsupported-tokenizer" for a pre-tokenizer that {@link findPreTokenizer} lacks. */
export function createMerger(vocabulary: Vocabulary, metadata: Metadata): Merger {
  return vocabulary.kind === "bytes"
    ? createByteMerger(vocabulary, metadata)
    : createSentenceMerger(vocabulary, metadata);
}

/** Byte-level BPE: the library's own, given the file's merges and the words of its pre-tokenizer. */
function createByteMerger(vocabulary: Vocabulary, metadata: Metadata): Merger {
  const name = metadata.optionalString("tokenizer.ggml.pre") ?? "default";
  const words = findPreTokenizer(name);
  if (words === undefined) {
    throw new SluiceError(
      "unsupported-tokenizer",
      `The pre-tokenizer ${JSON.stringify(name)} of this file is not known, so its text would be cut wrongly. ` +
        "Choose another model, or add it to src/tokenizer/pre-tokenizers.ts.",
    );
  }
  // Of a merge that a file lists twice the first counts; the library would take the last.
  const merges = [...new Set(metadata.strings("tokenizer.ggml.merges"))].map(splitMerge);
  const tokenizer = createTokenizer({
    pre_tokenizer: splitWords(words),
    model: {
      type: "BPE",
      vocab: plainVocabulary(vocabulary),
      merges,
      ignore_merges: words.ignoreMerges ?? false,
    },
  });
  return {
    encode: (text) => tokenizer.encode(text).ids,
    addBos: words.addBos ?? false,
  };
}

/** A merge is two tokens with a space between; a token may start with one. */
function splitMerge(merge: string): [string, string] {
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function splitWords({ patterns }: PreTokenizer): object {
  const splits = patterns.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }));
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  return { type: "Sequence", pretokenizers: [...splits, bytes] };
}

/**
 * SentencePiece BPE: the whole text is one word, and the pair whose union has the best score merges
 * first, the leftmost of equals.
 *
 * A merge list cannot say "equal", so the ranks are written into the library's model: the rank of a
 * pair is the place of its union's score among all scores. Source: `llm_tokenizer_spm` of llama.cpp.
 */
function createSentenceMerger(vocabulary: Vocabulary, metadata: Metadata): Merger {
  const scores = metadata.numbers("tokenizer.ggml.scores");
  expectLength("tokenizer.ggml.scores", scores.length, vocabulary.tokens.length);
  const prefix = metadata.optionalBoolean("tokenizer.ggml.add_space_prefix") ?? true;
  const tokenizer = createTokenizer({
    pre_tokenizer: null,
    model: { type: "BPE", vocab: plainVocabulary(vocabulary), merges: [], byte_fallback: true },
  });
  const { model } = tokenizer;
  if (!(model instanceof BPE)) throw new Error("unreachable: a BPE tokenizer has a BPE model");
  for (const [pair, rank] of rankedPairs(vocabulary, scores)) model.bpe_ranks.set(pair, rank);
  return {
    encode(text, atStart) {
      const space = prefix && atStart ? "▁" : "";
      return tokenizer.encode(space + text.replaceAll(" ", "▁")).ids;
    },
    addBos: true,
  };
}

/** Every pair of pieces that unite to a token, in the library's spelling of it, with its rank. */
function rankedPairs(vocabulary: Vocabulary, scores: readonly number[]): Map<string, number> {
  const { tokens, types } = vocabulary;
  const mergeable = tokens.flatMap((token, id) => (isMergeable(types[id]) ? [{ token, id }] : []));
  const distinct = [...new Set(scores)].sort((a, b) => b - a);
  const rankOfScore = new Map(distinct.map((score, rank) => [score, rank]));
  const pieces = new Set(mergeable.map(({ token }) => token));

  const pairs = new Map<string, number>();
  for (const { token, id } of mergeable) {
    const rank = rankOfScore.get(scores[id] ?? 0) ?? 0;
    const characters = Array.from(token);
    let left = "";
    for (let length = 1; length < characters.length; length += 1) {
      left += characters[length - 1];
      const right = token.slice(left.length);
      const leftIsPiece = length === 1 || pieces.has(left);
      const rightIsPiece = length === characters.length - 1 || pieces.has(right);
      if (leftIsPiece && rightIsPiece) pairs.set(JSON.stringify([left, right]), rank);
    }
  }
  return pairs;
}

function isMergeable(type: number | undefined): boolean {
  return type !== TOKEN_TYPES.control && type !== TOKEN_TYPES.unknown && type !== TOKEN_TYPES.byte;
}

/**
 * Ids by token, without control tokens: no text that a user writes may become one, not even a word
 * that is spelled like one.
 */
function plainVocabulary({ tokens, types }: Vocabulary): Record<string, number> {
  const ids: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => {
    const type = types[id];
    if (type !== TOKEN_TYPES.control && type !== TOKEN_TYPES.unknown) ids[token] = id;
  });
  return ids;
}

function createTokenizer(parts: { pre_tokenizer: object | null; model: object }): Tokenizer {
  return new Tokenizer(
    { ...parts, normalizer: null, post_processor: null, decoder: null, added_tokens: [] },
    {},
  );
}
