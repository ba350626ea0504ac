import { connect, type ModelInfo, type SluiceEngine, SluiceError } from "../../index.ts";
import { type BenchEngine, runBench } from "../bench/task.ts";
import type { ResultOf, Task } from "../job.ts";
import { scoreText } from "../score-text.ts";
import { PAGE_PATHS, type PageEvent, type PageJob } from "./events.ts";

const queue: PageEvent[] = [];
let sending = false;

/** Sends events in order, those that came meanwhile together: a token never waits for a request. */
function tell(event: PageEvent): void {
  queue.push(event);
  if (!sending) void send();
}

async function send(): Promise<void> {
  sending = true;
  while (queue.length > 0) {
    const body = JSON.stringify(queue.splice(0));
    await fetch(PAGE_PATHS.events, { method: "POST", body });
  }
  sending = false;
}

async function run(): Promise<void> {
  tell({ kind: "started" });
  const job: PageJob = await (await fetch(PAGE_PATHS.job)).json();
  const engine = await connect(new Worker(job.worker, { type: "module" }));
  const onProgress = (progress: Extract<PageEvent, { kind: "progress" }>["progress"]) =>
    tell({ kind: "progress", progress });
  const model = await engine.load(job.model, { ...job.load, onProgress });
  tell({ kind: "model", model });
  tell({ kind: "result", result: await perform(job.task, engine, model) });
}

async function perform(
  task: Task,
  engine: SluiceEngine,
  model: ModelInfo,
): Promise<ResultOf<Task>> {
  if (task.kind === "peers") throw new Error("unreachable: peers have a page of their own");
  if (task.kind === "bench") {
    const reply: BenchEngine["reply"] = (prompt, options) =>
      engine.generate(prompt, options).result;
    return runBench({ ...engine, reply }, model, task, (line) => tell({ kind: "status", line }));
  }
  if (task.kind === "score") {
    return scoreText(engine, task, (window) => tell({ kind: "window", window }));
  }
  const reply = engine.generate(task.prompt, task.options);
  for await (const chunk of reply) tell({ kind: "chunk", chunk });
  return reply.result;
}

run().catch((error: unknown) => {
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof SluiceError ? error.code : undefined;
  tell({ kind: "error", message, stack, ...(code && { code }) });
});
