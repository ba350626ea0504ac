/** Where the bundled workers are served. */
export const WORKER_FOLDER = "/sluice-workers/";

/** The workers that tests start, by name. */
export const workerEntries = {
  /** The package's own. */
  worker: "src/worker.ts",
  patient: "test/gpu/worker/patient-worker.ts",
  gpuless: "test/gpu/worker/gpuless-worker.ts",
} as const;

/** Starts one of them. */
export function startWorker(name: keyof typeof workerEntries): Worker {
  return new Worker(`${WORKER_FOLDER}${name}.js`, { type: "module" });
}
