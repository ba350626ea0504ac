import type { ChatMessage } from "../rpc/api.ts";

/** What `chat.completions.create` takes: OpenAI's names and defaults. Source: OpenAI API reference, "Create chat completion". */
export interface ChatCompletionRequest {
  readonly messages: readonly ChatCompletionMessage[];
  /** Pieces as they come, in place of the whole. Default false. */
  readonly stream?: boolean | null;
  readonly stream_options?: { readonly include_usage?: boolean } | null;
  /** Only told again in the answer: the engine runs the model that is loaded. */
  readonly model?: string;
  /** Default: up to the end of the context. */
  readonly max_tokens?: number | null;
  /** The newer name of `max_tokens`. */
  readonly max_completion_tokens?: number | null;
  /** Default 1, as in OpenAI's API; 0 always takes the most probable token. */
  readonly temperature?: number | null;
  readonly top_p?: number | null;
  readonly seed?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly logprobs?: boolean | null;
  /** 0 to 20; needs `logprobs`. */
  readonly top_logprobs?: number | null;
  /** Only 1. */
  readonly n?: number | null;
}

/** A message; its content is a text, or text parts. */
export interface ChatCompletionMessage {
  readonly role: ChatMessage["role"] | "developer";
  readonly content: string | readonly { readonly type: "text"; readonly text: string }[];
}

/** A whole answer. */
export interface ChatCompletion {
  readonly id: string;
  readonly object: "chat.completion";
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly message: {
        readonly role: "assistant";
        readonly content: string;
        readonly refusal: null;
      };
      readonly logprobs: ChatCompletionLogprobs | null;
      readonly finish_reason: "stop" | "length";
    },
  ];
  readonly usage: ChatCompletionUsage;
}

/** A piece of a streamed answer. The last one has no choices, and the usage, if that was asked for. */
export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: 0;
    readonly delta: { readonly role?: "assistant"; readonly content?: string };
    readonly logprobs: ChatCompletionLogprobs | null;
    readonly finish_reason: "stop" | "length" | null;
  }[];
  readonly usage?: ChatCompletionUsage | null;
}

/** Tokens that an answer took. */
export interface ChatCompletionUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Log-probabilities of the tokens of an answer, or of a piece. */
export interface ChatCompletionLogprobs {
  readonly content: readonly ChatCompletionTokenLogprob[];
  readonly refusal: null;
}

/** A token and the best ones beside it. `id` is the model's; OpenAI has no such field. */
export interface ChatCompletionTokenLogprob extends TopLogprob {
  readonly top_logprobs: readonly TopLogprob[];
}

/** A token and its log-probability. */
export interface TopLogprob {
  readonly id: number;
  readonly token: string;
  readonly logprob: number;
  /** UTF-8 of `token`. */
  readonly bytes: readonly number[];
}

/** `chat.completions` in OpenAI's shape. */
export interface ChatCompletions {
  /**
   * Answers a conversation. A streamed answer is computed as it is read: leaving the loop stops it, and so does
   * `signal`, which ends the loop. Without `stream`, `signal` rejects with "aborted".
   * Throws "bad-input" for what the engine does not do; see `Engine.generate` for other codes.
   *
   * @example
   * const stream = await engine.chat.completions.create({ messages, stream: true });
   * for await (const chunk of stream) show(chunk.choices[0]?.delta.content ?? "");
   */
  create(
    request: ChatCompletionRequest & { readonly stream: true },
    options?: { readonly signal?: AbortSignal },
  ): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(
    request: ChatCompletionRequest & { readonly stream?: false | null },
    options?: { readonly signal?: AbortSignal },
  ): Promise<ChatCompletion>;
  create(
    request: ChatCompletionRequest,
    options?: { readonly signal?: AbortSignal },
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
}
