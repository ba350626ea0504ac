const { VITE_RUNS, VITE_SEED } = import.meta.env;

/** How many times as many random cases are tried as usual: `VITE_RUNS=20 npx vitest run --project node`. */
const FACTOR = Number(VITE_RUNS ?? 1);

/** The number of a test's random cases, of which `usual` are enough for every day. */
export function runs(usual: number): number {
  return Math.max(1, Math.round(FACTOR * usual));
}

/** Another seed each time, or that of `VITE_SEED`. A test that draws one prints it, to be given again. */
export function drawSeed(): number {
  return Number(VITE_SEED ?? Math.floor(Math.random() * 2 ** 31));
}
