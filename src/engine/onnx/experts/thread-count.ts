/** Threads that are taken unasked at most. */
const MOST_THREADS = 4;

/** Threads that are taken on so many cores: those that wait for experts to compute take nothing from others. */
export function usualThreads(cores: number): number {
  return Math.min(MOST_THREADS, cores);
}
