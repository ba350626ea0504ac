import type { Engine, EngineHost } from "../../engine/types.ts";
import type {
  GenerateOptions,
  GenerateResult,
  ModelInfo,
  ProfileOptions,
  Prompt,
} from "../../rpc/api.ts";
import { runBench } from "../bench/task.ts";
import type { Job, JobHooks, ResultOf, Task } from "../job.ts";
import { openLocation } from "../location.ts";
import { scoreText } from "../score-text.ts";

/** Does a job with an engine in this process, which reaches what computes by `host`, and disposes of it. */
export async function runInProcess<Work extends Task>(
  host: EngineHost,
  job: Job<Work>,
  hooks: JobHooks,
): Promise<ResultOf<Work>> {
  // Only now: the globals of WebGPU that it names may have been put there just before.
  const { createEngine } = await import("../../engine/engine.ts");
  const engine = createEngine(host);
  const source = await openLocation(job.model, hooks.signal);
  try {
    const model = await engine.load(source, job.load, hooks);
    hooks.onModel(model);
    return (await perform(job.task, engine, model, hooks)) as ResultOf<Work>;
  } finally {
    await engine.dispose();
    await source.close?.();
  }
}

async function perform(
  task: Task,
  engine: Engine,
  model: ModelInfo,
  hooks: JobHooks,
): Promise<ResultOf<Task>> {
  const { signal } = hooks;
  if (task.kind === "peers") throw new Error("unreachable: peers run in a browser");
  if (task.kind === "bench") {
    const host = {
      tokenize: (text: string) => engine.tokenize(text),
      reply: (prompt: Prompt, options: GenerateOptions) =>
        wholeReply(engine.generate(prompt, options, signal)),
      profile: (options: ProfileOptions) => engine.profile(options),
    };
    return runBench(host, model, task, hooks.onStatus);
  }
  if (task.kind === "score") {
    const scoring = {
      tokenize: (text: string) => engine.tokenize(text),
      score: (tokens: readonly number[]) => engine.score(tokens, signal),
    };
    return scoreText(scoring, task, (window) => hooks.onWindow?.(window));
  }
  return wholeReply(engine.generate(task.prompt, task.options, signal), hooks.onChunk);
}

async function wholeReply(
  reply: ReturnType<Engine["generate"]>,
  onChunk: JobHooks["onChunk"] = () => {},
): Promise<GenerateResult> {
  for (;;) {
    const step = await reply.next();
    if (step.done) return step.value;
    onChunk(step.value);
  }
}
