/** How a byte-level BPE vocabulary cuts text into the words inside which it merges. */
export interface PreTokenizer {
  /** Applied one after the other; each cuts the pieces of the one before into matches and the rest. */
  readonly patterns: readonly string[];
  /** A word that is a token as it stands is taken whole, whatever its merges say. */
  readonly ignoreMerges?: boolean;
  /** Whether text starts with the bos token where the file does not say. */
  readonly addBos?: boolean;
}

const CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d";
const ANY_CASE_CONTRACTIONS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The words of GPT-2: an optional space, then letters, or digits, or the rest. */
const gpt2Words = `${CONTRACTIONS}| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)`;

/** The words of GPT-4 and its followers, which differ in how many digits stay together. */
function gpt4Words(digits: string, letters = "\\p{L}", notOther = "\\p{L}\\p{N}"): string {
  const word = `[^\\r\\n\\p{L}\\p{N}]?[${letters}]+`;
  const other = ` ?[^\\s${notOther}]+[\\r\\n]*`;
  return `(?:${ANY_CASE_CONTRACTIONS})|${word}|${digits}|${other}|${SPACES}`;
}

/** The words of GPT-4o, cut where a capital follows small letters. */
function gpt4oWords(digits: string, contractions: string): string {
  const start = "[^\\r\\n\\p{L}\\p{N}]?";
  const upper = "((?=[\\p{L}])([^a-z]))";
  const lower = "((?=[\\p{L}])([^A-Z]))";
  const words = `${start}${upper}*${lower}+${contractions}|${start}${upper}+${lower}*${contractions}`;
  return `${words}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
}

const gpt2: PreTokenizer = { patterns: [gpt2Words] };
const digitByDigit: PreTokenizer = { patterns: ["\\p{N}", gpt2Words] };
const qwen2: PreTokenizer = { patterns: [gpt4Words("\\p{N}")] };
const dbrx: PreTokenizer = { patterns: [gpt4Words("\\p{N}{1,3}")] };
const llama3: PreTokenizer = { ...dbrx, ignoreMerges: true, addBos: true };
const glm4: PreTokenizer = { ...dbrx, ignoreMerges: true };
const gpt4o: PreTokenizer = {
  patterns: [gpt4oWords("\\p{N}{1,3}", `(?:${ANY_CASE_CONTRACTIONS})?`)],
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
  patterns: [
    "\\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" +
      `| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
  ],
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
  "granite-docling": gpt2,
  smollm: digitByDigit,
  starcoder: digitByDigit,
  refact: digitByDigit,
  "command-r": digitByDigit,
  codeshell: digitByDigit,
  exaone: digitByDigit,
  "minerva-7b": digitByDigit,
  qwen2,
  "deepseek-r1-qwen": qwen2,
  megrez: qwen2,
  stablelm2: qwen2,
  hunyuan: qwen2,
  qwen35: { patterns: [gpt4Words("\\p{N}", "\\p{L}\\p{M}", "\\p{L}\\p{M}\\p{N}")] },
  dbrx,
  "smaug-bpe": dbrx,
  "chatglm-bpe": dbrx,
  glm4,
  "llama-bpe": llama3,
  llama3,
  "llama-v3": llama3,
  falcon3: llama3,
  "falcon-h1": llama3,
  pixtral: llama3,
  lfm2: llama3,
  tekken,
  "gpt-4o": gpt4o,
  llama4: gpt4o,
  "minimax-m2": gpt4o,
  bailingmoe: bailingMoe,
  bailingmoe2: bailingMoe,
  "llada-moe": bailingMoe,
  "deepseek-v3": deepseek3,
  "hunyuan-dense": deepseek3,
  "deepseek-coder": deepseekCoder,
  "deepseek-llm": deepseekLlm,
  falcon,
} as const satisfies Record<string, PreTokenizer>;

/** The rule of that name, or undefined. */
export function findPreTokenizer(name: string): PreTokenizer | undefined {
  return Object.hasOwn(preTokenizers, name)
    ? preTokenizers[name as keyof typeof preTokenizers]
    : undefined;
}
