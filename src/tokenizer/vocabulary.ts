import { SluiceError } from "../errors.ts";
import type { Metadata } from "../gguf/metadata.ts";

/** What a token is, by ggml's `llama_token_type`. */
export const TOKEN_TYPES = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

/** The vocabulary of a GGUF file, as stored. */
export interface Vocabulary {
  /** `bytes`: byte-level BPE with merges ("gpt2"); `sentence`: SentencePiece BPE with scores ("llama"). */
  readonly kind: "bytes" | "sentence";
  /** By id, in the vocabulary's own spelling. */
  readonly tokens: readonly string[];
  /** By id, one of {@link TOKEN_TYPES}. */
  readonly types: readonly number[];
  readonly bos: number | undefined;
  readonly eos: number | undefined;
}

/** The kinds by the name that a file has in `tokenizer.ggml.model`. */
export const tokenizerKinds = { gpt2: "bytes", llama: "sentence" } as const satisfies Record<
  string,
  Vocabulary["kind"]
>;

/** Throws "unsupported-tokenizer" for another kind, "bad-file" for lists that do not fit together. */
export function readVocabulary(metadata: Metadata): Vocabulary {
  const model = metadata.string("tokenizer.ggml.model");
  const kind = Object.hasOwn(tokenizerKinds, model)
    ? tokenizerKinds[model as keyof typeof tokenizerKinds]
    : undefined;
  if (kind === undefined) {
    throw new SluiceError(
      "unsupported-tokenizer",
      `The tokenizer of this file is of the kind ${JSON.stringify(model)}; "gpt2" and "llama" can be used. ` +
        "Choose another model.",
    );
  }
  const tokens = metadata
    .strings("tokenizer.ggml.tokens")
    .map((token, id) => (token === "" ? `[EMPTY_${id}]` : token));
  const types =
    metadata.optionalNumbers("tokenizer.ggml.token_type") ?? tokens.map(() => TOKEN_TYPES.normal);
  expectLength("tokenizer.ggml.token_type", types.length, tokens.length);
  const sentence = kind === "sentence";
  return {
    kind,
    tokens,
    types,
    bos: readId(metadata, "tokenizer.ggml.bos_token_id", tokens) ?? (sentence ? 1 : undefined),
    eos: readId(metadata, "tokenizer.ggml.eos_token_id", tokens) ?? (sentence ? 2 : undefined),
  };
}

/** A token id of the vocabulary; undefined if the file has none. Throws "bad-file" outside it. */
export function readId(
  metadata: Metadata,
  key: string,
  tokens: readonly string[],
): number | undefined {
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
