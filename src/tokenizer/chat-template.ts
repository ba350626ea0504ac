import type { Template } from "@huggingface/jinja";
import { SluiceError } from "../errors.ts";
import type { Metadata } from "../gguf/metadata.ts";
import { hideControlTexts, hideFirstCharacters, type Literals, restore } from "./literals.ts";
import { controlTokens } from "./special-tokens.ts";
import { parseWithMethods, templateMethods } from "./template-methods.ts";
import { findThoughtMarks, splitThoughts } from "./thoughts.ts";
import type { TextTokenizer } from "./tokenizer.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/** A turn of a conversation. Further fields, such as `tool_calls`, reach the template as they are. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** End with the words that let the model answer; true if absent. */
  readonly addGenerationPrompt?: boolean;
  /** Descriptions of tools, in the form that the model was trained on (usually JSON schemas). */
  readonly tools?: readonly unknown[] | undefined;
  /** Further variables that the template knows, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A conversation in the model's own form, with what users wrote kept apart from what steers the model. */
export interface RenderedChat {
  /** Not for display: stand-ins are in the place of some characters. See {@link chatText}. */
  readonly text: string;
  /** The stand-ins and what they stand for. */
  readonly literals: Literals;
}

/** The form of most models that have no template but the tokens of ChatML. */
const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** For models that were never taught a form: `user: ...`, a line each. */
const PLAIN =
  "{% for message in messages %}{{ message.role + ': ' + message.content + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/** What of a file its renderings share. */
interface Renderer {
  readonly controlTexts: readonly string[];
  /** Texts of the special tokens that the file names, by the names that templates know them by. */
  readonly specials: Readonly<Record<string, string>>;
  /** Whether the model puts thoughts into a channel of their own. */
  readonly channels: boolean;
  template(withTools: boolean): Template;
}

const renderers = new WeakMap<Metadata, Renderer>();

/**
 * Writes a conversation in the form that the model was trained on, by the template of its file.
 *
 * No text in `messages` or `tools` can become a control token, whatever it spells. Before rendering,
 * every character that begins a control token is replaced in them by a stand-in; `encodeChat` puts it
 * back once control tokens have been found. A template that looks into texts (`'</think>' in content`)
 * would miss them, so the result must equal a rendering without stand-ins; where it does not, only
 * whole spellings of control tokens get one, which such a template does not look for.
 *
 * Thoughts that a reply began with, `<think>…</think>`, may stay in its message: templates leave them out or
 * put them where the model had them.
 *
 * Without a template the form is ChatML if the vocabulary has its tokens, and `role: text` otherwise.
 *
 * Throws "bad-input" if the template refuses the messages, "unsupported-model" if it cannot be run.
 */
export function renderChat(
  metadata: Metadata,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): RenderedChat {
  const renderer = rendererOf(metadata);
  const tools = options.tools?.length ? options.tools : null;
  const run = (input: ChatInput) => render(renderer, input, options);
  const input = { messages: renderer.channels ? messages.map(apart) : messages, tools };

  const plain = run(input);
  const { controlTexts } = renderer;
  const every = hideFirstCharacters(input, controlTexts, plain);
  const text = tryRun(() => run(every.value));
  if (text !== undefined && restore(text, every.literals) === plain) {
    return { text, literals: every.literals };
  }
  const whole = hideControlTexts(input, controlTexts, plain);
  return { text: run(whole.value), literals: whole.literals };
}

/** The rendering as people read it. */
export function chatText(chat: RenderedChat): string {
  return restore(chat.text, chat.literals);
}

/** Token ids of a rendering; the bos token is put in front if the model wants one and the template gave none. */
export function encodeChat(tokenizer: TextTokenizer, chat: RenderedChat): number[] {
  const { text, literals } = chat;
  const ids = tokenizer.encode(text, { parseSpecial: true, literals });
  const { bos } = tokenizer;
  return tokenizer.addBos && bos !== undefined && ids[0] !== bos ? [bos, ...ids] : ids;
}

interface ChatInput {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly unknown[] | null;
}

/**
 * A reply as the tokenizer decodes it, `<think>…</think>…`, with the thoughts in the fields where templates
 * with channels look for them.
 */
function apart(message: ChatMessage): ChatMessage {
  if (message.role !== "assistant" || typeof message.content !== "string") return message;
  const { thoughts, rest } = splitThoughts(message.content);
  if (thoughts === undefined) return message;
  return { thinking: thoughts, reasoning_content: thoughts, ...message, content: rest };
}

function rendererOf(metadata: Metadata): Renderer {
  const known = renderers.get(metadata);
  if (known !== undefined) return known;
  const vocabulary = readVocabulary(metadata);
  const fallback = vocabulary.tokens.includes("<|im_start|>") ? CHATML : PLAIN;
  const main = metadata.optionalString("tokenizer.chat_template") ?? fallback;
  const forTools = metadata.optionalString("tokenizer.chat_template.tool_use") ?? main;
  const parsed = new Map<string, Template>();
  const renderer: Renderer = {
    controlTexts: controlTokens(vocabulary).map(({ text }) => text),
    specials: specialTexts(metadata, vocabulary),
    channels: findThoughtMarks(vocabulary).form !== undefined,
    template(withTools) {
      const source = withTools ? forTools : main;
      const template = parsed.get(source) ?? parseTemplate(source);
      parsed.set(source, template);
      return template;
    },
  };
  renderers.set(metadata, renderer);
  return renderer;
}

/** The names of special tokens by their keys in a file, one of which is misspelt there. */
const SPECIAL_KEYS = {
  unk_token: "unknown",
  sep_token: "seperator",
  pad_token: "padding",
  cls_token: "cls",
  mask_token: "mask",
} as const;

/** A template may ask whether a token `is defined`; the two that every template counts on always are. */
function specialTexts(
  metadata: Metadata,
  { tokens, bos, eos }: Vocabulary,
): Record<string, string> {
  const textOf = (id: number | undefined) => (id === undefined ? undefined : tokens[id]);
  const texts: Record<string, string> = {
    bos_token: textOf(bos) ?? "",
    eos_token: textOf(eos) ?? "",
  };
  for (const [name, key] of Object.entries(SPECIAL_KEYS)) {
    const text = textOf(metadata.optionalCount(`tokenizer.ggml.${key}_token_id`));
    if (text !== undefined) texts[name] = text;
  }
  return texts;
}

/**
 * The library's `raise_exception` throws a plain Error, not to be told from a failure of its own, so
 * it is replaced from inside. `{{ "" }}` keeps the first line of the template from being trimmed.
 */
const PROLOGUE = '{% set raise_exception = sluice_refuse %}{{ "" }}';

function parseTemplate(source: string): Template {
  try {
    return parseWithMethods(PROLOGUE + source);
  } catch (cause) {
    throw unusable("cannot be parsed", cause);
  }
}

/** Thrown by a template's `raise_exception`. */
class Refusal extends Error {}

function render(renderer: Renderer, input: ChatInput, options: ChatOptions): string {
  const template = renderer.template(input.tools !== null);
  try {
    return template.render({
      ...options.variables,
      messages: input.messages,
      // As Python has it: a template asks `tools is not none`.
      tools: input.tools,
      documents: null,
      add_generation_prompt: options.addGenerationPrompt ?? true,
      ...renderer.specials,
      ...templateMethods,
      sluice_refuse(message: unknown) {
        throw new Refusal(String(message));
      },
    });
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw unusable("failed", cause);
    throw new SluiceError(
      "bad-input",
      `The model's chat template refuses these messages: ${cause.message}. Change the messages.`,
      { cause },
    );
  }
}

/** undefined if the stand-ins lead the template into an error. */
function tryRun(run: () => string): string | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof SluiceError) return undefined;
    throw error;
  }
}

function unusable(what: string, cause: unknown): SluiceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SluiceError(
    "unsupported-model",
    `The chat template of this file ${what}: ${reason}. Complete plain text instead, or use another file of this model.`,
    { cause },
  );
}
