/** Patterns that pre-tokenizers are made of, as texts of regular expressions in the syntax of tokenizer.json files. */

const CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d";
export const ANY_CASE_CONTRACTIONS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
export const SPACES = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The words of GPT-2: an optional space, then letters, or digits, or the rest. */
export const gpt2Words = `${CONTRACTIONS}| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)`;

/** The words of GPT-4 and its followers, which differ in how many digits stay together. */
export function gpt4Words(digits: string, letters = "\\p{L}", notOther = "\\p{L}\\p{N}"): string {
  const word = `[^\\r\\n\\p{L}\\p{N}]?[${letters}]+`;
  const other = ` ?[^\\s${notOther}]+[\\r\\n]*`;
  return `(?:${ANY_CASE_CONTRACTIONS})|${word}|${digits}|${other}|${SPACES}`;
}

/** The words of GPT-4o, cut where a capital follows small letters. */
export function gpt4oWords(digits: string, contractions: string): string {
  const start = "[^\\r\\n\\p{L}\\p{N}]?";
  const upper = "((?=[\\p{L}])([^a-z]))";
  const lower = "((?=[\\p{L}])([^A-Z]))";
  const words = `${start}${upper}*${lower}+${contractions}|${start}${upper}+${lower}*${contractions}`;
  return `${words}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
}

/** Runs of digits cut into threes from the right: 1234567 is 1, 234, 567. */
export const DIGITS_FROM_THE_RIGHT = "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))";
export const CHINESE_AND_KANA = "[一-龥぀-ゟ゠-ヿ]+";
const ASCII_PUNCTUATION = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]";
export const OPTIONAL_CONTRACTION = `(?:${ANY_CASE_CONTRACTIONS})?`;

/** Words that may start with a mark, then punctuation with symbols, as DeepSeek V3 and its followers have them. */
export const deepseekWords = `${ASCII_PUNCTUATION}[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+`;
export const deepseek3Words = `${deepseekWords}| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`;

/** The words of GPT-4o with marks as letters, and no cut at capitals. */
export function markedWords(digits: string): string {
  const word = `[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+${OPTIONAL_CONTRACTION}`;
  return `${word}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;
}

const HAN =
  "\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2ebef}\\u{2f800}-\\u{2fa1f}";
export const kimiWords = `[${HAN}]+|[^\\r\\n\\p{L}\\p{N}]?(?:(?![${HAN}])\\p{L})+${OPTIONAL_CONTRACTION}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;

/** Scripts without spaces between words. The third range starts where llama.cpp has it; the model's own may start at U+F900. */
export const AFMOE_SCRIPTS =
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u8c48-\\ufaff" +
  "\\u3040-\\u309f\\u30a0-\\u30ff\\uff65-\\uff9f\\u2f00-\\u2fdf\\u0e40-\\u0e7f\\u0e80-\\u0eff\\u1780-\\u17ff\\u1000-\\u109f\\uaa60-\\uaa7f\\ua9e0-\\ua9ff\\uac00-\\ud7af\\u1100-\\u11ff]+";
