import { SluiceError } from "../errors.ts";
import type { Metadata } from "../gguf/metadata.ts";
import { findPreTokenizer, type PreTokenizer } from "./pre-tokenizers.ts";
import { findSwallowing, readSteering } from "./steering.ts";
import { TOKEN_TYPES } from "./token-types.ts";

/** How a vocabulary merges and spells its tokens. */
export interface TokenizerKind {
  readonly title: string;
  /** Pieces merge by a list of merges, inside the words of a pre-tokenizer, or by the scores of their unions. */
  readonly mergesBy: "merges" | "scores";
  /** The pre-tokenizer of every file of the kind, whatever its `tokenizer.ggml.pre` says. */
  readonly pre?: string;
}

/** The kinds by the name that a file has in `tokenizer.ggml.model`. */
export const tokenizerKinds = {
  gpt2: { title: "byte-level BPE", mergesBy: "merges" },
  llama: { title: "SentencePiece BPE", mergesBy: "scores" },
  gemma4: { title: "BPE of SentencePiece's pieces", mergesBy: "merges", pre: "gemma4" },
} as const satisfies Record<string, TokenizerKind>;

/** The vocabulary of a GGUF file, with the types that its tokens act by. */
export interface Vocabulary {
  /**
   * `bytes`: GPT-2's character for each byte; `pieces`: text with `▁` for a space, and byte tokens `<0x41>`.
   */
  readonly spelling: "bytes" | "pieces";
  /** The words inside which tokens merge; undefined for SentencePiece, whose scores know no words. */
  readonly words: PreTokenizer | undefined;
  /** By id, in the vocabulary's own spelling. */
  readonly tokens: readonly string[];
  /** By id, one of {@link TOKEN_TYPES}: what each token acts as, which a file may have wrong. */
  readonly types: readonly number[];
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  /** Tokens after which the model has said what it has to say. */
  readonly ends: ReadonlySet<number>;
  /** Tokens that swallow the white space after them. */
  readonly swallowing: ReadonlySet<number>;
}

/**
 * Throws "unsupported-tokenizer" for a kind or a pre-tokenizer that is not known, "bad-file" for lists
 * that do not fit together.
 */
export function readVocabulary(metadata: Metadata): Vocabulary {
  const kind = readKind(metadata);
  const words = kind.mergesBy === "merges" ? readWords(metadata, kind) : undefined;
  const tokens = metadata
    .strings("tokenizer.ggml.tokens")
    .map((token, id) => (token === "" ? `[EMPTY_${id}]` : token));
  const stored =
    metadata.optionalNumbers("tokenizer.ggml.token_type") ?? tokens.map(() => TOKEN_TYPES.normal);
  expectLength("tokenizer.ggml.token_type", stored.length, tokens.length);
  const scored = words === undefined;
  const idOf = (name: string, otherwise?: number) =>
    readId(metadata, `tokenizer.ggml.${name}_token_id`, tokens) ?? otherwise;
  const eos = idOf("eos", scored ? 2 : undefined);
  const { types, ends } = readSteering(tokens, stored, (name) =>
    name === "eos" ? eos : idOf(name),
  );
  return {
    spelling: scored || words.pieces ? "pieces" : "bytes",
    words,
    tokens,
    types,
    bos: idOf("bos", scored ? 1 : undefined),
    eos,
    ends,
    swallowing: findSwallowing(metadata, tokens, types),
  };
}

function readKind(metadata: Metadata): TokenizerKind {
  const model = metadata.string("tokenizer.ggml.model");
  if (Object.hasOwn(tokenizerKinds, model)) {
    return tokenizerKinds[model as keyof typeof tokenizerKinds];
  }
  const known = Object.keys(tokenizerKinds).map((name) => JSON.stringify(name));
  throw new SluiceError(
    "unsupported-tokenizer",
    `The tokenizer of this file is of the kind ${JSON.stringify(model)}; ${known.join(", ")} can be used. ` +
      "Choose another model.",
  );
}

function readWords(metadata: Metadata, kind: TokenizerKind): PreTokenizer {
  const name = kind.pre ?? metadata.optionalString("tokenizer.ggml.pre") ?? "default";
  const words = findPreTokenizer(name);
  if (words !== undefined) return words;
  throw new SluiceError(
    "unsupported-tokenizer",
    `The pre-tokenizer ${JSON.stringify(name)} of this file is not known, so its text would be cut wrongly. ` +
      "Choose another model, or add it to src/tokenizer/pre-tokenizers.ts.",
  );
}

/** A token id of the vocabulary; undefined if the file has none. Throws "bad-file" outside it. */
function readId(metadata: Metadata, key: string, tokens: readonly string[]): number | undefined {
  const id = metadata.optionalCount(key);
  if (id === undefined || id < tokens.length) return id;
  throw new SluiceError(
    "bad-file",
    `Key ${key} is ${id}, but the vocabulary has ${tokens.length} tokens. Use another file of this model.`,
  );
}

/** Throws "bad-file" if a list that runs parallel to the vocabulary is shorter. */
export function expectLength(key: string, got: number, wanted: number): void {
  if (got >= wanted) return;
  throw new SluiceError(
    "bad-file",
    `Key ${key} has ${got} entries for a vocabulary of ${wanted}. Use another file of this model.`,
  );
}
