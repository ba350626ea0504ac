import { SluiceError } from "../errors.ts";
import type { ChatMessage, GenerateOptions } from "../rpc/api.ts";
import type { ChatCompletionMessage, ChatCompletionRequest } from "./openai-types.ts";

const ROLES: Record<ChatCompletionMessage["role"], ChatMessage["role"]> = {
  system: "system",
  developer: "system",
  user: "user",
  assistant: "assistant",
  tool: "tool",
};

/** The conversation, with OpenAI's text parts joined. Throws "bad-input". */
export function readMessages(messages: ChatCompletionRequest["messages"]): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw badInput("messages must be an array of at least one { role, content }");
  }
  return messages.map((message: ChatCompletionMessage, index) => {
    const role = Object.hasOwn(ROLES, message?.role) ? ROLES[message.role] : undefined;
    if (!role) {
      throw badInput(`messages[${index}].role must be one of ${Object.keys(ROLES).join(", ")}`);
    }
    return { role, content: readContent(message.content, index) };
  });
}

function readContent(content: ChatCompletionMessage["content"], index: number): string {
  if (typeof content === "string") return content;
  const parts = Array.isArray(content) ? content : [undefined];
  if (parts.every((part) => part?.type === "text" && typeof part.text === "string")) {
    return parts.map((part) => part.text).join("");
  }
  throw badInput(`messages[${index}].content must be a string or parts of type "text"`);
}

/** The engine's options for OpenAI's. Throws "bad-input". */
export function readOptions(request: ChatCompletionRequest): GenerateOptions {
  const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? undefined;
  const topLogprobs = request.top_logprobs ?? undefined;
  if (maxTokens !== undefined) expectInteger("max_tokens", maxTokens, 1, Number.MAX_SAFE_INTEGER);
  if (topLogprobs !== undefined) expectInteger("top_logprobs", topLogprobs, 0, 20);
  if (topLogprobs !== undefined && !request.logprobs) {
    throw badInput("top_logprobs needs logprobs: true");
  }
  if (request.seed != null) expectInteger("seed", request.seed, 0, Number.MAX_SAFE_INTEGER);
  return {
    temperature: readNumber("temperature", request.temperature ?? 1, 0, 2),
    topP: readNumber("top_p", request.top_p ?? 1, 0, 1),
    stop: readStop(request.stop ?? []),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(request.seed != null && { seed: request.seed }),
    ...(request.logprobs && { topLogprobs: topLogprobs ?? 0 }),
  };
}

function readStop(stop: string | readonly string[]): readonly string[] {
  const texts = typeof stop === "string" ? [stop] : stop;
  if (Array.isArray(texts) && texts.every((text) => typeof text === "string" && text !== "")) {
    return texts;
  }
  throw badInput("stop must be a text or an array of texts, none of them empty");
}

function readNumber(name: string, value: number, least: number, most: number): number {
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw badInput(`${name} is ${value}, must be a number from ${least} to ${most}`);
}

function expectInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw badInput(`${name} is ${value}, must be a whole number from ${least} to ${most}`);
}

/** Fields that are understood, and those that change no token: bookkeeping of OpenAI's own service. */
const KNOWN = new Set<string>([
  ...["messages", "stream", "stream_options", "model", "max_tokens", "max_completion_tokens"],
  ...["temperature", "top_p", "seed", "stop", "logprobs", "top_logprobs", "n"],
  ...["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"],
] satisfies (keyof ChatCompletionRequest | string)[]);

/** Values with which a field that the engine lacks means nothing. */
const NEUTRAL = new Map<string, unknown>([
  ["frequency_penalty", 0],
  ["presence_penalty", 0],
]);

/** Throws "bad-input" for a field that the engine would have to ignore: the answer would not be what was asked. */
export function refuseUnknown(request: ChatCompletionRequest): void {
  if (typeof request !== "object" || request === null) {
    throw badInput("the request must be an object with messages");
  }
  if (request.n != null && request.n !== 1) throw badInput(`n is ${request.n}, must be 1`);
  for (const [name, value] of Object.entries(request)) {
    if (KNOWN.has(name) || value === undefined || value === null) continue;
    if (NEUTRAL.get(name) !== value) throw badInput(`${name} is not supported; leave it out`);
  }
}

function badInput(sentence: string): SluiceError {
  return new SluiceError("bad-input", `chat.completions.create: ${sentence}.`);
}
