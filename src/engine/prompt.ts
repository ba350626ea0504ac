import { SluiceError } from "../errors.ts";
import type { Metadata } from "../gguf/metadata.ts";
import type { ChatMessage, Prompt } from "../rpc/api.ts";
import { encodeChat, renderChat } from "../tokenizer/chat-template.ts";
import type { TextTokenizer } from "../tokenizer/tokenizer.ts";

/** What a prompt is read with. */
export interface PromptContext {
  readonly tokenizer: TextTokenizer;
  readonly metadata: Metadata;
  readonly vocab: number;
  readonly contextTokens: number;
}

const ROLES = ["system", "user", "assistant", "tool"];

/**
 * The tokens of a prompt. Throws "bad-input" when it is empty or malformed, "context-full" when it leaves no room for a
 * reply.
 */
export function readPrompt(prompt: Prompt, context: PromptContext): readonly number[] {
  const tokens = tokensOf(prompt, context);
  if (tokens.length === 0) {
    throw new SluiceError("bad-input", "The prompt is empty. Give at least one word or token.");
  }
  if (tokens.length >= context.contextTokens) {
    throw new SluiceError(
      "context-full",
      `The prompt has ${tokens.length} tokens; the context holds ${context.contextTokens}, a reply included. Shorten the prompt, start a new conversation, or load the model with a larger contextTokens.`,
    );
  }
  return tokens;
}

function tokensOf(
  prompt: Prompt,
  { tokenizer, metadata, vocab }: PromptContext,
): readonly number[] {
  if ("tokens" in prompt) {
    checkTokens(prompt.tokens, vocab);
    return prompt.tokens;
  }
  if ("text" in prompt) {
    if (typeof prompt.text !== "string" || prompt.text === "") {
      throw new SluiceError("bad-input", "The prompt is empty. Give at least one word or token.");
    }
    return tokenizer.encode(prompt.text, { addBos: tokenizer.addBos, parseSpecial: false });
  }
  checkMessages(prompt.messages);
  const messages = prompt.messages.map((message) => ({ ...message }));
  const chat = renderChat(metadata, messages, { addGenerationPrompt: true });
  return encodeChat(tokenizer, chat);
}

/** Throws "bad-input" for a token that the model does not have. */
export function checkTokens(tokens: readonly number[], vocab: number): void {
  const bad = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  if (bad === undefined) return;
  throw new SluiceError(
    "bad-input",
    `Token ${bad} does not exist: this model's tokens go from 0 to ${vocab - 1}.`,
  );
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new SluiceError("bad-input", "The conversation is empty. Give at least one message.");
  }
  for (const [index, message] of messages.entries()) {
    if (!ROLES.includes(message?.role) || typeof message.content !== "string") {
      throw new SluiceError(
        "bad-input",
        `Message ${index} needs a role (${ROLES.join(", ")}) and a text as content.`,
      );
    }
  }
}
