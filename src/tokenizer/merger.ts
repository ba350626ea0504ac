import { BPE, Tokenizer } from "@huggingface/tokenizers";
import type { Metadata } from "../gguf/metadata.ts";
import type { PreTokenizer } from "./pre-tokenizers.ts";
import { TOKEN_TYPES } from "./token-types.ts";
import { expectLength, type Vocabulary } from "./vocabulary.ts";

/** Merges text that holds no special tokens into token ids. */
export interface Merger {
  /** @param atStart whether `text` begins the input or follows a special token */
  encode(text: string, atStart: boolean): number[];
}

export function createMerger(vocabulary: Vocabulary, metadata: Metadata): Merger {
  const { words } = vocabulary;
  if (words === undefined) return createSentenceMerger(vocabulary, metadata);
  return words.pieces
    ? createPieceMerger(vocabulary, words, metadata)
    : createByteMerger(vocabulary, words, metadata);
}

/** Byte-level BPE: the library's own, given the file's merges and the words of its pre-tokenizer. */
function createByteMerger(vocabulary: Vocabulary, words: PreTokenizer, metadata: Metadata): Merger {
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  const tokenizer = createTokenizer({
    pre_tokenizer: { type: "Sequence", pretokenizers: [...splits(words), bytes] },
    model: {
      type: "BPE",
      vocab: plainVocabulary(vocabulary),
      merges: readMerges(metadata),
      ignore_merges: words.ignoreMerges ?? false,
    },
  });
  return { encode: (text) => tokenizer.encode(text).ids };
}

/** BPE by merges on SentencePiece's pieces. Source: `LLAMA_VOCAB_PRE_TYPE_GEMMA4` in llama-vocab.cpp. */
function createPieceMerger(
  vocabulary: Vocabulary,
  words: PreTokenizer,
  metadata: Metadata,
): Merger {
  const vocab = plainVocabulary(vocabulary);
  const tokenizer = createTokenizer({
    pre_tokenizer: { type: "Sequence", pretokenizers: splits(words) },
    model: { type: "BPE", vocab, merges: readMerges(metadata), byte_fallback: true },
  });
  return {
    encode: (text) =>
      text
        .replaceAll(" ", "▁")
        .split(/(\n+)/)
        .flatMap((line, index) => {
          const whole = words.wholeBreaks && index % 2 === 1 ? vocab[line] : undefined;
          return whole === undefined ? tokenizer.encode(line).ids : [whole];
        }),
  };
}

/** Of a merge that a file lists twice the first counts; the library would take the last. */
function readMerges(metadata: Metadata): [string, string][] {
  return [...new Set(metadata.strings("tokenizer.ggml.merges"))].map(splitMerge);
}

/** A merge is two tokens with a space between; a token may start with one. */
function splitMerge(merge: string): [string, string] {
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function splits({ patterns }: PreTokenizer): object[] {
  return patterns.map((Regex) => ({
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  }));
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
