// The page of `sluice bench --peers`: does a job as src/cli/page/runner.ts does, with other engines beside Sluice.
import { PAGE_PATHS, type PageEvent, type PageJob } from "../../../src/cli/page/events.ts";
import { SluiceError } from "../../../src/errors.ts";
import { compareLayers } from "./layers.ts";
import { compareModels } from "./models.ts";

async function tell(event: PageEvent): Promise<void> {
  await fetch(PAGE_PATHS.events, { method: "POST", body: JSON.stringify([event]) });
}

async function run(): Promise<void> {
  await tell({ kind: "started" });
  const job: PageJob = await (await fetch(PAGE_PATHS.job)).json();
  const { task } = job;
  if (task.kind !== "peers") throw new Error(`unreachable: a task ${task.kind} in the peers' page`);
  const onStatus = (line: string) => void tell({ kind: "status", line });
  const { adapter, rows: layer } = await compareLayers(
    task.parts.includes("layer") ? task.repeats : 0,
    onStatus,
  );
  const model = task.parts.includes("model") ? await compareModels(job, task, onStatus) : [];
  await tell({ kind: "result", result: { adapter, layer, model } });
}

run().catch((error: unknown) => {
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof SluiceError ? error.code : undefined;
  void tell({ kind: "error", message, stack, ...(code && { code }) });
});
