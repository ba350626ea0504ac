import { TOKEN_TYPES, type Vocabulary } from "./vocabulary.ts";

/** A piece of text: a token found in it by its spelling, or text that is still to be merged. */
export type Fragment = { readonly token: number } | { readonly text: string };

/** Tokens that are found by their spelling, longest first. */
export type SpecialTokens = readonly { readonly text: string; readonly id: number }[];

/** Tokens that text can always name, as llama.cpp has it: those that the model's makers added as text. */
export function userDefinedTokens(vocabulary: Vocabulary): SpecialTokens {
  return tokensOf(vocabulary, [TOKEN_TYPES.userDefined]);
}

/** Tokens that steer the model and that only a template may name, and the unknown token. */
export function controlTokens(vocabulary: Vocabulary): SpecialTokens {
  return tokensOf(vocabulary, [TOKEN_TYPES.control, TOKEN_TYPES.unknown]);
}

function tokensOf({ tokens, types }: Vocabulary, wanted: readonly number[]): SpecialTokens {
  const found: { text: string; id: number }[] = [];
  tokens.forEach((text, id) => {
    if (wanted.includes(types[id] ?? TOKEN_TYPES.normal)) found.push({ text, id });
  });
  return longestFirst(found);
}

export function longestFirst(tokens: SpecialTokens): SpecialTokens {
  return [...tokens].sort((a, b) => b.text.length - a.text.length || a.id - b.id);
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

function splitAt(text: string, token: SpecialTokens[number]): Fragment[] {
  return text
    .split(token.text)
    .flatMap((part, index): Fragment[] => [
      ...(index === 0 ? [] : [{ token: token.id }]),
      ...(part === "" ? [] : [{ text: part }]),
    ]);
}
