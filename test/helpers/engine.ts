import { createEngine } from "../../src/engine/engine.ts";
import type { Engine, EngineHost, EngineSource } from "../../src/engine/types.ts";
import type {
  GenerateOptions,
  GenerateResult,
  LoadOptions,
  Prompt,
  TokenChunk,
} from "../../src/rpc/api.ts";

/** Makes an engine of the runtime under test; disposed of by the caller. */
export type CreateEngine = () => Engine;

/** An engine whose models are computed on the GPU. */
export function createGpuEngine(host: Partial<EngineHost> = {}): Engine {
  return createEngine({ gpu: navigator.gpu, ...host });
}

/** An engine whose models are computed in WebAssembly. */
export function createOnnxEngine(host: Partial<EngineHost> = {}): Engine {
  const engine = createEngine({ gpu: undefined, ...host });
  const load = engine.load.bind(engine);
  engine.load = (source, options, hooks) => load(source, { runtime: "onnx", ...options }, hooks);
  return engine;
}

/** A whole reply, read to its end, with what was streamed. */
export async function replyOf(
  engine: Engine,
  prompt: Prompt,
  options: GenerateOptions = {},
  signal?: AbortSignal,
): Promise<
  GenerateResult & {
    readonly streamed: string;
    readonly logprobs: readonly NonNullable<TokenChunk["logprobs"]>[number][];
  }
> {
  const stream = engine.generate(prompt, options, signal);
  const logprobs: NonNullable<TokenChunk["logprobs"]>[number][] = [];
  let streamed = "";
  for (;;) {
    const step = await stream.next();
    if (step.done) return { ...step.value, streamed, logprobs };
    streamed += step.value.text;
    logprobs.push(...(step.value.logprobs ?? []));
  }
}

/** Loads a model with nothing loaded ahead of need, so that counts do not depend on time. */
export async function loadCold(
  engine: Engine,
  source: EngineSource,
  options: LoadOptions = {},
): Promise<void> {
  await engine.load(source, { fill: "off", ...options }, {});
}
