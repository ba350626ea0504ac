import { createChatCompletions } from "./faces/openai.ts";
import type { ChatCompletions } from "./faces/openai-types.ts";
import type { ChatMessage } from "./rpc/api.ts";
import {
  type ConnectOptions,
  connectWorker,
  type EngineClient,
  type GenerateCallOptions,
  type WorkerEndpoint,
} from "./rpc/client.ts";
import type { Reply } from "./rpc/reply.ts";

export { SLUICE_ERROR_CODES, SluiceError, type SluiceErrorCode } from "./errors.ts";
export type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionLogprobs,
  ChatCompletionMessage,
  ChatCompletionRequest,
  ChatCompletions,
  ChatCompletionTokenLogprob,
  ChatCompletionUsage,
} from "./faces/openai-types.ts";
export type {
  Accuracy,
  Bound,
  Budget,
  BudgetBytes,
  Budgets,
  CacheFormatName,
  Ceilings,
  ChatMessage,
  EngineProfile,
  EngineStats,
  EvictionPolicyName,
  ExpertMap,
  FamilyName,
  FamilyReport,
  FinishReason,
  Floor,
  GenerateOptions,
  GenerateResult,
  KernelRow,
  LoadOptions,
  LoadProgress,
  MeasuredCosts,
  ModelInfo,
  ModelSource,
  PacingName,
  PassCounts,
  PassProfile,
  PinnedVariants,
  PredictorName,
  ProfileOptions,
  Prompt,
  RoutingTrace,
  RuntimeReport,
  RuntimeWanted,
  ScoreResult,
  SpeculationName,
  SpeculationStats,
  StorageReport,
  StoredModel,
  TokenChunk,
  TokenLogprob,
  VariantKind,
  VariantReport,
  VerifyReport,
} from "./rpc/api.ts";
export type {
  ConnectOptions,
  GenerateCallOptions,
  LoadCallOptions,
  ScoreCallOptions,
  WorkerEndpoint,
} from "./rpc/client.ts";
export type { Reply } from "./rpc/reply.ts";

/** An engine in a worker, with the chat faces. */
export interface SluiceEngine extends EngineClient {
  readonly chat: {
    /** A reply to a conversation, by the model's own chat template. */
    (messages: readonly ChatMessage[], options?: GenerateCallOptions): Reply;
    /** The same in OpenAI's shape. */
    readonly completions: ChatCompletions;
  };
}

/**
 * Connects to an engine in `worker`, whose script is `import "sluice/worker"`, and waits for its first answer.
 * The engine owns the worker from then on: `dispose` ends it. Throws "worker-died" when the script does not load.
 *
 * @example
 * const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
 * const engine = await connect(worker);
 * await engine.load("https://example.com/model.gguf", { gpuBudget: "2GB" });
 * for await (const piece of engine.generate("Once upon a time")) document.body.append(piece.text);
 * await engine.dispose();
 */
export async function connect(
  worker: WorkerEndpoint,
  options?: ConnectOptions,
): Promise<SluiceEngine> {
  const client = await connectWorker(worker, options);
  const completions = createChatCompletions(client);
  const chat = (messages: readonly ChatMessage[], options?: GenerateCallOptions) =>
    client.generate({ messages }, options);
  return Object.assign(client, { chat: Object.assign(chat, { completions }) });
}
