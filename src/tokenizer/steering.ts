import type { Metadata } from "../gguf/metadata.ts";
import { TOKEN_TYPES } from "./token-types.ts";

/**
 * Texts of tokens that end a reply, whatever the file's eos token is and whatever type the file gives
 * them: many files mark the end of a document as eos, and the model ends its turn with another token.
 *
 * Source: `special_eog_ids` in llama-vocab.cpp.
 */
const END_TEXTS: readonly string[] = [
  "<|im_end|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|calls|>",
  "<|flush|>",
  "<end_of_turn>",
  "<turn|>",
  "<|tool_response>",
  "<eos>",
  "<end_of_utterance>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "[EOS]",
  "[e~[",
  "</s>",
  "<｜end▁of▁sentence｜>",
];

/** A token that frames code to be filled in: the key of its id, or its spelling where the file has no such key. */
interface FillToken {
  readonly keys: readonly string[];
  readonly texts: readonly string[];
  /** Whether it ends a reply: the model has begun another file or pads. */
  readonly ends: boolean;
}

const FILL_TOKENS: readonly FillToken[] = [
  {
    keys: ["fim_pre", "prefix"],
    texts: [
      "<|fim_prefix|>",
      "<fim-prefix>",
      "<fim_prefix>",
      "<｜fim▁begin｜>",
      "<PRE>",
      "▁<PRE>",
      "<|code_prefix|>",
      "<|prefix|>",
    ],
    ends: false,
  },
  {
    keys: ["fim_suf", "suffix"],
    texts: [
      "<|fim_suffix|>",
      "<fim-suffix>",
      "<fim_suffix>",
      "<｜fim▁hole｜>",
      "<SUF>",
      "▁<SUF>",
      "<|code_suffix|>",
      "<|suffix|>",
    ],
    ends: false,
  },
  {
    keys: ["fim_mid", "middle"],
    texts: [
      "<|fim_middle|>",
      "<fim-middle>",
      "<fim_middle>",
      "<｜fim▁end｜>",
      "<MID>",
      "▁<MID>",
      "<|code_middle|>",
      "<|middle|>",
    ],
    ends: false,
  },
  {
    keys: ["fim_pad"],
    texts: ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
    ends: true,
  },
  {
    keys: ["fim_rep"],
    texts: ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    ends: true,
  },
  { keys: ["fim_sep"], texts: ["<|file_sep|>"], ends: true },
];

/** Tokens that steer a conversation, with what a file says of them put right by their spelling. */
export interface Steering {
  /** By id, one of `TOKEN_TYPES`: what each token acts as. */
  readonly types: readonly number[];
  /** Tokens after which the model has said what it has to say. */
  readonly ends: ReadonlySet<number>;
}

/**
 * @param types by id, as the file has them
 * @param idOf reads the id `tokenizer.ggml.NAME_token_id`
 */
export function readSteering(
  tokens: readonly string[],
  types: readonly number[],
  idOf: (name: string) => number | undefined,
): Steering {
  const ids = new Map(tokens.map((text, id) => [text, id]));
  const acting = [...types];
  const ends = new Set<number>();
  const steer = (text: string): number | undefined => {
    const id = ids.get(text);
    if (id !== undefined) acting[id] = TOKEN_TYPES.control;
    return id;
  };

  for (const { keys, texts, ends: isEnd } of FILL_TOKENS) {
    const named = keys.map(idOf).find((id) => id !== undefined);
    const id = named ?? steer(texts.find((text) => ids.has(text)) ?? "");
    if (isEnd && id !== undefined) ends.add(id);
  }
  for (const id of ["eos", "eot", "eom"].map(idOf)) if (id !== undefined) ends.add(id);
  for (const id of END_TEXTS.map(steer)) if (id !== undefined) ends.add(id);

  removeFalseEnds(ids, ends, acting);
  return { types: acting, ends };
}

/** Texts that end a reply in other models' vocabularies only. */
function removeFalseEnds(
  ids: ReadonlyMap<string, number>,
  ends: Set<number>,
  types: number[],
): void {
  const has = (text: string) => ids.has(text);
  const end = ids.get("<|end|>");
  const calls = has("<|call|>") || has("<|calls|>");
  // Where an answer is cut into channels, as in the harmony format of gpt-oss, <|end|> ends one of them.
  if (end !== undefined && calls && (has("<|return|>") || has("<|flush|>"))) ends.delete(end);
  const tag = ids.get("</s>");
  // In Gemma 4 this is HTML.
  if (tag !== undefined && has("<|tool_response>")) {
    ends.delete(tag);
    types[tag] = TOKEN_TYPES.normal;
  }
}

/**
 * Tokens that swallow the white space after them, which no key of a file tells.
 *
 * Source: the attributes by model name in llama-vocab.cpp; `rstrip` in tokenizer.json of Phi 3.
 */
export function findSwallowing(
  metadata: Metadata,
  tokens: readonly string[],
  types: readonly number[],
): ReadonlySet<number> {
  const name = (metadata.optionalString("general.name") ?? "").toLowerCase();
  const found = new Set<number>();
  if (!name.includes("phi-3") && !name.includes("phi3")) return found;
  tokens.forEach((text, id) => {
    const special = types[id] === TOKEN_TYPES.control || types[id] === TOKEN_TYPES.userDefined;
    if (special && text !== "<s>" && text !== "<|endoftext|>") found.add(id);
  });
  return found;
}
