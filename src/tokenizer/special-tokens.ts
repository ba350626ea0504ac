import { TOKEN_TYPES } from "./token-types.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** A piece of text: a token found in it by its spelling, or text that is still to be merged. */
export type Fragment = { readonly token: number } | { readonly text: string };

/** A token that is found by its spelling. */
export interface SpecialToken {
  readonly text: string;
  readonly id: number;
  /** Whether it swallows the white space after it. */
  readonly swallows: boolean;
}

/** In the order of the search: longest first. */
export type SpecialTokens = readonly SpecialToken[];

/** Tokens that text can always name, as llama.cpp has it: those that the model's makers added as text. */
export function userDefinedTokens(vocabulary: Vocabulary): SpecialTokens {
  return tokensOf(vocabulary, [TOKEN_TYPES.userDefined]);
}

/** Tokens that steer the model and that only a template may name, and the unknown token. */
export function controlTokens(vocabulary: Vocabulary): SpecialTokens {
  return tokensOf(vocabulary, [TOKEN_TYPES.control, TOKEN_TYPES.unknown]);
}

function tokensOf(
  { tokens, types, swallowing }: Vocabulary,
  wanted: readonly number[],
): SpecialTokens {
  const found: SpecialToken[] = [];
  tokens.forEach((text, id) => {
    if (wanted.includes(types[id] ?? TOKEN_TYPES.normal)) {
      found.push({ text, id, swallows: swallowing.has(id) });
    }
  });
  return longestFirst(found);
}

/** Lengths are of UTF-8. */
export function longestFirst(tokens: SpecialTokens): SpecialTokens {
  const encoder = new TextEncoder();
  const bytes = new Map(tokens.map(({ id, text }) => [id, encoder.encode(text).length]));
  const length = ({ id }: SpecialToken) => bytes.get(id) ?? 0;
  return [...tokens].sort((a, b) => length(b) - length(a) || a.id - b.id);
}

/**
 * Cuts `text` at the tokens: at every place of the longest, then in what is left at the next.
 *
 * Source: `tokenizer_st_partition` of llama-vocab.cpp, so that overlaps fall the same way.
 */
export function splitAtTokens(text: string, tokens: SpecialTokens): Fragment[] {
  let fragments: Fragment[] = text === "" ? [] : [{ text }];
  for (const token of tokens) {
    // Few of the hundreds of tokens are in a text, so most rounds change nothing.
    if (!text.includes(token.text)) continue;
    fragments = fragments.flatMap((fragment) =>
      "text" in fragment ? splitAt(fragment.text, token) : [fragment],
    );
  }
  return fragments;
}

/** What C's `isspace` takes for white space. */
const LEADING_SPACE = /^[ \t-\r]+/;

function splitAt(text: string, token: SpecialToken): Fragment[] {
  return text.split(token.text).flatMap((part, index): Fragment[] => {
    if (index === 0) return part === "" ? [] : [{ text: part }];
    const rest = token.swallows ? part.replace(LEADING_SPACE, "") : part;
    return [{ token: token.id }, ...(rest === "" ? [] : [{ text: rest }])];
  });
}
