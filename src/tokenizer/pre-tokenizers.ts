import {
  AFMOE_SCRIPTS,
  ANY_CASE_CONTRACTIONS,
  CHINESE_AND_KANA,
  DIGITS_FROM_THE_RIGHT,
  deepseek3Words,
  deepseekWords,
  gpt2Words,
  gpt4oWords,
  gpt4Words,
  kimiWords,
  markedWords,
  OPTIONAL_CONTRACTION,
  SPACES,
} from "./word-patterns.ts";

/** How a BPE vocabulary cuts text into the words inside which it merges. */
export interface PreTokenizer {
  /** Applied one after the other; each cuts the pieces of the one before into matches and the rest. */
  readonly patterns: readonly string[];
  /** A word that is a token as it stands is taken whole, whatever its merges say. */
  readonly ignoreMerges?: boolean;
  /** Whether text starts with the bos token where the file does not say. */
  readonly addBos?: boolean;
  /**
   * The vocabulary is spelled as SentencePiece has it: a space is `▁`, and a character that is no token
   * is written as byte tokens `<0x41>`. The words of byte-level BPE are spelled in GPT-2's byte characters.
   */
  readonly pieces?: boolean;
  /** A run of line breaks that is a token is taken whole, since merges may lack the way to it. */
  readonly wholeBreaks?: boolean;
}

const gpt2: PreTokenizer = { patterns: [gpt2Words] };
const digitByDigit: PreTokenizer = { patterns: ["\\p{N}", gpt2Words] };
const qwen2: PreTokenizer = { patterns: [gpt4Words("\\p{N}")] };
const dbrx: PreTokenizer = { patterns: [gpt4Words("\\p{N}{1,3}")] };
const llama3: PreTokenizer = { ...dbrx, ignoreMerges: true, addBos: true };
const gpt4o: PreTokenizer = {
  patterns: [gpt4oWords("\\p{N}{1,3}", OPTIONAL_CONTRACTION)],
};
const tekken: PreTokenizer = {
  patterns: [gpt4oWords("\\p{N}", "")],
  ignoreMerges: true,
  addBos: true,
};
const bailingMoe: PreTokenizer = {
  patterns: [
    "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" +
      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  ],
};
const deepseek3: PreTokenizer = {
  patterns: ["\\p{N}{1,3}", CHINESE_AND_KANA, deepseek3Words],
};
const deepseekCoder: PreTokenizer = {
  patterns: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"],
};
/** Characters that Unicode normalisation would replace are escaped, lest an editor does it. */
const deepseekLlm: PreTokenizer = {
  patterns: [
    "[\\r\\n]",
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ\u1f5f-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌ\u1fd0-\u1fd3\u1fd6-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
    "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
    "\\s+$",
    "[一-龥ࠀ-一가-퟿]+",
    "\\p{N}+",
  ],
};
const falcon: PreTokenizer = {
  patterns: ["[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Words, "[0-9][0-9][0-9]"],
};
const unnamed: PreTokenizer = {
  patterns: ["[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2Words, "\\p{N}+", "[0-9][0-9][0-9]"],
};

/** Text of a whole line is one word: spaces are part of the vocabulary's pieces. */
const lines: PreTokenizer = { patterns: ["[^\\n]+|\\n+"], pieces: true };
const bloom: PreTokenizer = { patterns: [" ?[^(\\s|.,!?…。，、।۔،)]+"] };
const cohere2: PreTokenizer = { patterns: [DIGITS_FROM_THE_RIGHT, markedWords("\\p{N}{1,3}")] };

/**
 * The rules by the name that a file has in `tokenizer.ggml.pre`. To add one: name it here; the parity
 * test then compares it with llama.cpp.
 *
 * Source: the models' own tokenizer.json files, in the form that llama.cpp gives them
 * (`llm_tokenizer_bpe` in llama-vocab.cpp).
 */
export const preTokenizers = {
  default: unnamed,

  "gpt-2": gpt2,
  "phi-2": gpt2,
  mpt: gpt2,
  olmo: gpt2,
  jais: gpt2,
  trillion: gpt2,
  gigachat: gpt2,
  exaone4: gpt2,
  mellum: gpt2,
  "a.x-4.0": gpt2,
  "granite-docling": gpt2,

  smollm: digitByDigit,
  starcoder: digitByDigit,
  refact: digitByDigit,
  "command-r": digitByDigit,
  codeshell: digitByDigit,
  exaone: digitByDigit,
  "minerva-7b": digitByDigit,
  mellum2: digitByDigit,

  qwen2,
  "deepseek-r1-qwen": qwen2,
  megrez: qwen2,
  stablelm2: qwen2,
  hunyuan: qwen2,
  kormo: qwen2,
  "grok-2": qwen2,
  "solar-open": qwen2,
  qwen35: { patterns: [gpt4Words("\\p{N}", "\\p{L}\\p{M}", "\\p{L}\\p{M}\\p{N}")] },
  ufakzeka: {
    patterns: [`[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`],
  },
  laguna: { patterns: ["[^\\n]+|\\n+", gpt4Words("\\p{N}")] },
  "seed-coder": {
    patterns: [
      `(?:${ANY_CASE_CONTRACTIONS})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES}`,
    ],
  },
  "exaone-moe": {
    patterns: [
      `(?:${ANY_CASE_CONTRACTIONS})|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}` +
        "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    ],
  },

  dbrx,
  "smaug-bpe": dbrx,
  "chatglm-bpe": dbrx,
  glm4: dbrx,
  "llama-bpe": llama3,
  llama3,
  "llama-v3": llama3,
  falcon3: llama3,
  "falcon-h1": llama3,
  pixtral: llama3,
  "midm-2.0": llama3,
  lfm2: llama3,
  minicpm5: { patterns: ["\\p{N}{1,3}", gpt4Words("\\p{N}+")], ignoreMerges: true },
  "jais-2": {
    patterns: [
      `(?:${ANY_CASE_CONTRACTIONS})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+` +
        "|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)" +
        "|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s",
    ],
  },

  tekken,
  "gpt-4o": gpt4o,
  llama4: gpt4o,
  kanana2: gpt4o,
  talkie: gpt4o,
  "minimax-m2": gpt4o,
  tiny_aya: cohere2,
  cohere2moe: cohere2,
  "kimi-k2": { patterns: [kimiWords] },

  bailingmoe: bailingMoe,
  bailingmoe2: bailingMoe,
  "llada-moe": bailingMoe,

  "deepseek-v3": deepseek3,
  "hunyuan-dense": deepseek3,
  "joyai-llm": deepseek3,
  hy_v4: deepseek3,
  spark2_5: {
    patterns: [
      "\\p{N}{1,3}",
      CHINESE_AND_KANA,
      `${deepseekWords}| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+`,
      "\\p{N}",
    ],
  },
  afmoe: {
    patterns: [DIGITS_FROM_THE_RIGHT, AFMOE_SCRIPTS, deepseek3Words],
  },
  youtu: {
    patterns: [
      `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|${CHINESE_AND_KANA}`,
      markedWords("\\p{N}"),
    ],
    ignoreMerges: true,
  },
  "deepseek-coder": deepseekCoder,
  "deepseek-llm": deepseekLlm,

  falcon,
  superbpe: { patterns: ["\\p{N}+", "(?=(?:[0-9]{3})+(?![0-9]))"] },
  bloom,
  "poro-chat": bloom,
  "gpt3-finnish": bloom,
  viking: { patterns: [...bloom.patterns, "\\p{N}"] },
  chameleon: {
    patterns: [
      "<sentinel:[0-9]+>",
      "IMGIMG[A-I]{1,4}Z",
      "[\\t\\n]|    |  ",
      "\\p{N}",
      "[\\p{P}!-/:-@\\[-`{-~]",
      gpt2Words,
    ],
    addBos: true,
  },

  gemma4: { ...lines, wholeBreaks: true, addBos: true },
  "sarvam-moe": lines,
} as const satisfies Record<string, PreTokenizer>;

/** A name of {@link preTokenizers}: what a file may have as `tokenizer.ggml.pre`. */
export type PreTokenizerName = keyof typeof preTokenizers;

/** The rule of that name, or undefined. */
export function findPreTokenizer(name: string): PreTokenizer | undefined {
  return Object.hasOwn(preTokenizers, name) ? preTokenizers[name as PreTokenizerName] : undefined;
}
