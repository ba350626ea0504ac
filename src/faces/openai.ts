import { abortError } from "../errors.ts";
import type {
  FinishReason,
  GenerateOptions,
  GenerateResult,
  Prompt,
  TokenChunk,
  TokenLogprob,
} from "../rpc/api.ts";
import type { Reply } from "../rpc/reply.ts";
import { readMessages, readOptions, refuseUnknown } from "./openai-request.ts";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionRequest,
  ChatCompletions,
  ChatCompletionTokenLogprob,
  ChatCompletionUsage,
  TopLogprob,
} from "./openai-types.ts";

/** The part of the client that the face stands on. */
export interface ReplyMaker {
  generate(prompt: Prompt, options: GenerateOptions & { readonly signal?: AbortSignal }): Reply;
  /** Name of the loaded model; undefined before the first load. */
  modelName(): string | undefined;
}

/** The face over `maker`. */
export function createChatCompletions(maker: ReplyMaker): ChatCompletions {
  let lastId = 0;

  async function create(
    request: ChatCompletionRequest,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> {
    refuseUnknown(request);
    const prompt = { messages: readMessages(request.messages) };
    const reply = maker.generate(prompt, { ...readOptions(request), ...(signal && { signal }) });
    const head = {
      id: `chatcmpl-${Date.now().toString(36)}-${++lastId}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model ?? maker.modelName() ?? "sluice",
    };
    return request.stream ? streamed(head, reply, request) : whole(head, reply, request);
  }

  return { create } as ChatCompletions;
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

async function whole(
  head: Head,
  reply: Reply,
  request: ChatCompletionRequest,
): Promise<ChatCompletion> {
  const logprobs: ChatCompletionTokenLogprob[] = [];
  for await (const piece of reply) logprobs.push(...readLogprobs(piece));
  const result = await reply.result;
  return {
    ...head,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: result.text, refusal: null },
        logprobs: request.logprobs ? { content: logprobs, refusal: null } : null,
        finish_reason: finished(result.finishReason) ?? refuseAborted(),
      },
    ],
    usage: usageOf(result),
  };
}

async function* streamed(
  head: Head,
  reply: Reply,
  request: ChatCompletionRequest,
): AsyncGenerator<ChatCompletionChunk, void> {
  const withUsage = request.stream_options?.include_usage === true;
  type Choice = ChatCompletionChunk["choices"][number];
  const chunk = (choice: Omit<Choice, "index">): ChatCompletionChunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index: 0, ...choice }],
    ...(withUsage && { usage: null }),
  });

  const role = { role: "assistant", content: "" } as const;
  yield chunk({ delta: role, logprobs: null, finish_reason: null });
  for await (const piece of reply) {
    const content = readLogprobs(piece);
    const logprobs = request.logprobs ? { content, refusal: null } : null;
    if (piece.text !== "" || content.length > 0) {
      yield chunk({ delta: { content: piece.text }, logprobs, finish_reason: null });
    }
  }
  const result = await reply.result;
  const finish_reason = finished(result.finishReason);
  if (!finish_reason) return;
  yield chunk({ delta: {}, logprobs: null, finish_reason });
  if (withUsage) {
    yield { ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(result) };
  }
}

/** OpenAI's finish reason; undefined for a stopped reply, for which OpenAI has none. */
function finished(reason: FinishReason): "stop" | "length" | undefined {
  return reason === "aborted" ? undefined : reason;
}

function refuseAborted(): never {
  throw abortError("The reply");
}

function usageOf(result: GenerateResult): ChatCompletionUsage {
  const prompt_tokens = result.promptTokens.length;
  const completion_tokens = result.tokens.length;
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

function readLogprobs(piece: TokenChunk): ChatCompletionTokenLogprob[] {
  return (piece.logprobs ?? []).map((entry) => ({
    ...readLogprob(entry),
    top_logprobs: entry.top.map(readLogprob),
  }));
}

function readLogprob({ token: id, logprob, text = "" }: TokenLogprob): TopLogprob {
  return { id, token: text, logprob, bytes: [...new TextEncoder().encode(text)] };
}
