import { connect, SluiceError } from "../../index.ts";
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
  tell({ kind: "model", model: await engine.load(job.model, { ...job.load, onProgress }) });
  const reply = engine.generate(job.prompt, job.generate);
  for await (const chunk of reply) tell({ kind: "chunk", chunk });
  tell({ kind: "result", result: await reply.result });
}

run().catch((error: unknown) => {
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof SluiceError ? error.code : undefined;
  tell({ kind: "error", message, stack, ...(code && { code }) });
});
