import { onTestFinished } from "vitest";
import { connect, type RuntimeWanted, type SluiceEngine } from "../../src/index.ts";
import { startWorker } from "./worker-entries.ts";

/** An engine in the package's worker, as a page makes it. */
export interface WorkerEngineOptions {
  /** What models are loaded with unless a test says otherwise. Default: `webgpu`, on a software adapter, too. */
  readonly runtime?: RuntimeWanted;
  /** Default: one with the package's own script. */
  readonly worker?: Worker;
}

/** Starts an engine in a worker. The caller disposes of it; see {@link startEngine}. */
export async function connectEngine({
  runtime = "webgpu",
  worker = startWorker("worker"),
}: WorkerEngineOptions = {}): Promise<SluiceEngine> {
  const engine = await connect(worker);
  return { ...engine, load: (source, options) => engine.load(source, { runtime, ...options }) };
}

/** Starts an engine in a worker of its own; the test's end disposes of it. */
export async function startEngine(options?: WorkerEngineOptions): Promise<SluiceEngine> {
  const engine = await connectEngine(options);
  onTestFinished(() => engine.dispose().catch(() => {}));
  return engine;
}
