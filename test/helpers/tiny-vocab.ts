import { createRandom } from "../../src/numeric/random.ts";
import { BYTE_CHARACTERS } from "../../src/tokenizer/token-bytes.ts";
import { TOKEN_TYPES } from "../../src/tokenizer/token-types.ts";
import { type GgufKeys, g } from "./gguf-writer.ts";

/** Text that the merges are learnt from; its oddities make tokens of odd bytes. */
const CORPUS =
  "the quick brown fox jumps over the lazy dog and then the dog sleeps there for three hours. " +
  "Other words: hello world, Hello World! 1234567890 2024 100 1000 it's we're they'll I'd 've\n" +
  "function add(a, b) {\n  return a + b;\n}\n    if (x == 0) { y += 1; }\n\n\n\t\ttabs\t and    spaces   \n" +
  "日本語の文字 中文字符 中文 한국어 café naïve über Ünïcode привет мир 🙂🙂 👩‍👩‍👧 e\u0301e\u0301 ";

const CONTROL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const USER_TOKENS = ["<think>", "</think>"];
/** Runs of spaces that OLMo and its relatives have as tokens of their own. */
const SPACE_TOKENS = ["    ", "  "];
/** The byte tokens of SentencePiece. */
const BYTE_TOKENS = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);

/** The smallest vocabularies that {@link bpeVocabulary} and {@link spmVocabulary} can make. */
export const LEAST_TOKENS = 320;

/**
 * A byte-level BPE vocabulary as GGUF keys: 256 bytes, merges learnt from a fixed text, two
 * user-defined and three control tokens at the end. `size` tokens in all; `pre` names the pre-tokenizer.
 */
export function bpeVocabulary(options: { size?: number; pre?: string } = {}): GgufKeys {
  const { size = LEAST_TOKENS, pre = "gpt-2" } = options;
  const special = [...USER_TOKENS, ...CONTROL_TOKENS];
  const words = CORPUS.split(/(?<=\S)(?=\s)/).map(byteCharacters);
  const merges = learnMerges(words, size - 256 - special.length);
  const learnt = merges.map(([left, right]) => left + right);
  const tokens = padded([...BYTE_CHARACTERS, ...learnt], size - special.length).concat(special);
  return bpeKeys({ model: "gpt2", pre, tokens, types: tokens.map(bpeType), merges });
}

/**
 * A byte-level BPE vocabulary that shows where text is cut: any two bytes that are neighbours in one of
 * `texts`, or meet where one follows another, are a token, so that only a cut keeps them apart. The order
 * of merges is random, lest all pairs begin at even bytes. The texts themselves are tokens that no merge
 * leads to.
 */
export function pairVocabulary(pre: string, texts: readonly string[]): GgufKeys {
  const merges = neighbours(texts.map(byteCharacters));
  const pairs = merges.map((pair) => pair.join(""));
  const whole = texts
    .map((text) => byteCharacters(text).join(""))
    .filter((text) => text.length > 2);
  const plain = new Set([...BYTE_CHARACTERS, ...pairs, ...whole]);
  const special = [...USER_TOKENS, ...SPACE_TOKENS, ...CONTROL_TOKENS];
  const tokens = [...plain].filter((token) => !special.includes(token)).concat(special);
  return bpeKeys({ model: "gpt2", pre, tokens, types: tokens.map(bpeType), merges });
}

/**
 * As {@link pairVocabulary}, in SentencePiece's spelling: merges unite characters, a space is `▁`, and what
 * is beyond U+2FFF falls back to byte tokens. Three line breaks are a token that no merge leads to.
 */
export function pieceVocabulary(model: string, pre: string, texts: readonly string[]): GgufKeys {
  const words = texts.map((text) => Array.from(text.replaceAll(" ", "▁")));
  const characters = [...new Set(words.flat())].filter((text) => text < "\u3000");
  const known = words.map((word) => word.map((text) => (characters.includes(text) ? text : "\0")));
  const merges = neighbours(known).filter((pair) => !pair.includes("\0"));
  const pairs = merges.map((pair) => pair.join(""));
  const pieces = [...characters, ...pairs, "\n\n\n"].filter(
    (text) => !text.includes("\n\n") || text.length === 3,
  );
  const tokens = [...BYTE_TOKENS, ...pieces, ...USER_TOKENS, ...CONTROL_TOKENS];
  const types = tokens.map((text, id) => (id < 256 ? TOKEN_TYPES.byte : bpeType(text)));
  return bpeKeys({ model, pre, tokens, types, merges });
}

function bpeKeys(parts: {
  model: string;
  pre: string;
  tokens: readonly string[];
  types: readonly number[];
  merges: readonly (readonly [string, string])[];
}): GgufKeys {
  const { model, pre, tokens, types, merges } = parts;
  const idOf = (text: string) => tokens.lastIndexOf(text);
  return {
    "tokenizer.ggml.model": g.string(model),
    "tokenizer.ggml.pre": g.string(pre),
    "tokenizer.ggml.tokens": g.strings([...tokens]),
    "tokenizer.ggml.token_type": g.i32s([...types]),
    "tokenizer.ggml.merges": g.strings(merges.map((pair) => pair.join(" "))),
    "tokenizer.ggml.bos_token_id": g.u32(idOf("<|endoftext|>")),
    "tokenizer.ggml.eos_token_id": g.u32(idOf("<|im_end|>")),
    "tokenizer.ggml.add_bos_token": g.bool(false),
  };
}

/** In random order: every two that follow each other in a word, or do when one word follows another. */
function neighbours(words: readonly (readonly string[])[]): [string, string][] {
  const pairs = new Map<string, [string, string]>();
  const add = (left: string, right: string) =>
    pairs.set(JSON.stringify([left, right]), [left, right]);
  const firsts = new Set(words.flatMap((word) => word.slice(0, 1)));
  const lasts = new Set(words.flatMap((word) => word.slice(-1)));
  for (const left of lasts) for (const right of firsts) add(left, right);
  for (const word of words) for (let i = 1; i < word.length; i += 1) add(word[i - 1]!, word[i]!);
  const random = createRandom(1);
  return [...pairs.values()]
    .map((pair) => ({ pair, place: random.uniform() }))
    .sort((a, b) => a.place - b.place)
    .map(({ pair }) => pair);
}

function byteCharacters(text: string): string[] {
  return Array.from(new TextEncoder().encode(text), (byte) => BYTE_CHARACTERS[byte] ?? "");
}

function bpeType(token: string): number {
  if (CONTROL_TOKENS.includes(token)) return TOKEN_TYPES.control;
  if ([...USER_TOKENS, ...SPACE_TOKENS].includes(token)) return TOKEN_TYPES.userDefined;
  return token.startsWith("<unused") ? TOKEN_TYPES.unused : TOKEN_TYPES.normal;
}

/**
 * A SentencePiece vocabulary ("llama") as GGUF keys: `<unk>`, `<s>`, `</s>`, 256 byte tokens, then
 * learnt pieces by falling score and single characters below them. `size` tokens in all.
 */
export function spmVocabulary(options: { size?: number } = {}): GgufKeys {
  const { size = 480 } = options;
  // No CJK and no emoji, so that these fall back to bytes.
  const characters = [...new Set(CORPUS.replaceAll(" ", "▁"))].filter((text) => text < "\u3000");
  const words = CORPUS.replaceAll(" ", "▁")
    .split(/(?=▁)/)
    .map((word) => Array.from(word));
  const fixed = ["<unk>", "<s>", "</s>", ...BYTE_TOKENS];
  const room = size - fixed.length - characters.length;
  const learnt = learnMerges(words, room).map(([left, right]) => left + right);
  const pieces = padded([...new Set(learnt)], room);
  const tokens = [...fixed, ...pieces, ...characters];
  return {
    "tokenizer.ggml.model": g.string("llama"),
    "tokenizer.ggml.tokens": g.strings(tokens),
    "tokenizer.ggml.scores": g.f32s(
      tokens.map((_, id) => (id < fixed.length ? 0 : fixed.length - id)),
    ),
    "tokenizer.ggml.token_type": g.i32s(tokens.map(spmType)),
    "tokenizer.ggml.bos_token_id": g.u32(1),
    "tokenizer.ggml.eos_token_id": g.u32(2),
    "tokenizer.ggml.unknown_token_id": g.u32(0),
  };
}

function spmType(token: string, id: number): number {
  if (id === 0) return TOKEN_TYPES.unknown;
  if (id < 3) return TOKEN_TYPES.control;
  if (id < 3 + 256) return TOKEN_TYPES.byte;
  return token.startsWith("<unused") ? TOKEN_TYPES.unused : TOKEN_TYPES.normal;
}

/** The most frequent neighbours united, again and again; the first in the text of equals. */
function learnMerges(words: string[][], count: number): [string, string][] {
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let index = 1; index < word.length; index += 1) {
        const pair = `${word[index - 1]} ${word[index]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    let best: [string, number] | undefined;
    for (const entry of counts) if (entry[1] > (best?.[1] ?? 0)) best = entry;
    if (best === undefined) return merges;
    const [left = "", right = ""] = best[0].split(" ");
    merges.push([left, right]);
    for (const word of words) unite(word, left, right);
  }
  return merges;
}

function unite(word: string[], left: string, right: string): void {
  for (let index = 0; index + 1 < word.length; index += 1) {
    if (word[index] === left && word[index + 1] === right) word.splice(index, 2, left + right);
  }
}

function padded(tokens: readonly string[], length: number): string[] {
  const fill = Array.from({ length: length - tokens.length }, (_, index) => `<unused${index}>`);
  return [...tokens, ...fill];
}

/** `keys` of a vocabulary with more tokens at its end, each a text and one of {@link TOKEN_TYPES}. */
export function withTokens(
  keys: GgufKeys,
  added: readonly (readonly [text: string, type: number])[],
): GgufKeys {
  const tokens = keys["tokenizer.ggml.tokens"];
  const types = keys["tokenizer.ggml.token_type"];
  const scores = keys["tokenizer.ggml.scores"];
  if (tokens?.type !== "strings" || types?.type !== "i32s") throw new Error("no vocabulary");
  return {
    ...keys,
    "tokenizer.ggml.tokens": g.strings([...tokens.value, ...added.map(([text]) => text)]),
    "tokenizer.ggml.token_type": g.i32s([...types.value, ...added.map(([, type]) => type)]),
    ...(scores?.type === "f32s" && {
      "tokenizer.ggml.scores": g.f32s([...scores.value, ...added.map(() => 0)]),
    }),
  };
}
