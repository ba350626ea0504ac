import { preTokenizers } from "./pre-tokenizers.ts";
import { tokenizerKinds } from "./vocabulary.ts";

/** What a file may have as its tokenizer, by the registries: for lists that people read. */
export const supportedTokenizers: {
  /** By `tokenizer.ggml.model`. */
  readonly kinds: readonly { readonly name: string; readonly title: string }[];
  /** Values of `tokenizer.ggml.pre`. */
  readonly preTokenizers: readonly string[];
} = {
  kinds: Object.entries(tokenizerKinds).map(([name, { title }]) => ({ name, title })),
  preTokenizers: Object.keys(preTokenizers),
};
