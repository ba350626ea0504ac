/** What a job is told: when to stop, and whether it is still the one that counts. */
export interface JobContext {
  readonly signal: AbortSignal;
  /** False once another job waits for this one to end. */
  current(): boolean;
}

/** Runs loads and replies one at a time; a new one ends the one before it. */
export interface Jobs {
  /**
   * Stops the job that runs, waits for its end, then does `work`. Of several that wait, only the last one is done.
   * `work` handles its own failures.
   */
  run(work: (context: JobContext) => Promise<void>): Promise<void>;
  /** Tells the job that runs to stop. */
  stop(): void;
}

interface Job {
  readonly abort: AbortController;
  done: Promise<void>;
}

/** {@link Jobs} with none running. */
export function createJobs(): Jobs {
  let job: Job | undefined;

  return {
    async run(work) {
      const previous = job;
      const next: Job = { abort: new AbortController(), done: Promise.resolve() };
      const current = () => job === next;
      job = next;
      previous?.abort.abort();
      next.done = (async () => {
        await previous?.done;
        if (current()) await work({ signal: next.abort.signal, current });
        if (current()) job = undefined;
      })();
      await next.done;
    },
    stop: () => job?.abort.abort(),
  };
}
