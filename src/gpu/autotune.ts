/**
 * Rounds of a race: each candidate once, in turns, so that what else the machine does slows all alike. The first round, in
 * which all is cold, is not counted.
 */
const ROUNDS = { least: 5, most: 11 };

/** A rival replaces the default only if its median is below this share of the default's: noise must not decide. */
const CLEARLY = 0.9;

/** And only if it was faster in this share of the rounds. */
const MOST_ROUNDS = 0.8;

/** A rival whose best time is above this multiple of the default's best is out after any round. */
const HOPELESS = 1.25;

/** Of rivals that are that close to the best, the one named first wins: repeated races agree more often. */
const SAME = 1.05;

/** What a race is run by. */
export interface Race {
  /** The choice that stays unless another is clearly better. */
  readonly standing: string;
  /** In order of preference. */
  readonly rivals: readonly string[];
  /** Runs a candidate once: milliseconds that its kernels took. */
  measure(name: string): Promise<number>;
  now(): number;
  /** No round starts after this time. */
  readonly untilMs: number;
}

/** What a race found. */
export interface RaceResult {
  readonly winner: string;
  /** Median milliseconds of every candidate that was timed. */
  readonly medians: Readonly<Record<string, number>>;
  readonly rounds: number;
  /** Whether there was time enough; where there was not, the standing choice won. */
  readonly decided: boolean;
}

/** Times candidates against each other. With too little time for {@link ROUNDS}, the standing choice wins. */
export async function race(race: Race): Promise<RaceResult> {
  const { standing } = race;
  const times = new Map<string, number[]>([standing, ...race.rivals].map((name) => [name, []]));
  let running = [...times.keys()];
  let rounds = -1;
  while (running.length > 1 && rounds < ROUNDS.most && race.now() < race.untilMs) {
    for (const name of running) times.get(name)!.push(await race.measure(name));
    rounds++;
    if (rounds === 0) for (const name of running) times.set(name, []);
    else running = running.filter((name) => hasChance(times.get(name)!, times.get(standing)!));
  }
  const medians = Object.fromEntries(
    [...times].filter(([, own]) => own.length > 0).map(([name, own]) => [name, median(own)]),
  );
  return {
    winner: winnerOf(race, running, times),
    medians,
    rounds: Math.max(0, rounds),
    decided: rounds >= ROUNDS.least || (rounds > 0 && running.length === 1),
  };
}

function hasChance(own: readonly number[], standing: readonly number[]): boolean {
  return Math.min(...own) <= HOPELESS * Math.min(...standing);
}

function winnerOf(
  { standing }: Race,
  finalists: readonly string[],
  times: ReadonlyMap<string, readonly number[]>,
): string {
  const base = times.get(standing)!;
  if (base.length < ROUNDS.least) return standing;
  const better = finalists.filter((name) => isClearlyFaster(times.get(name)!, base));
  const best = Math.min(...better.map((name) => median(times.get(name)!)));
  return better.find((name) => median(times.get(name)!) <= SAME * best) ?? standing;
}

function isClearlyFaster(own: readonly number[], base: readonly number[]): boolean {
  const faster = own.filter((time, round) => time < base[round]!).length;
  return median(own) < CLEARLY * median(base) && faster >= MOST_ROUNDS * own.length;
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
