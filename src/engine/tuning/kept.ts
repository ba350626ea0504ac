import { candidates, type FamilyName, familyNames } from "../../kernels/parts.ts";
import { opfsTextFile, type TextFile } from "../../storage/text-file.ts";
import type { VariantChoice } from "./choices.ts";

/** What timing found for a model's shapes on one adapter. */
export interface Tuning {
  readonly choice: VariantChoice;
  /** Median milliseconds of what was timed, by family and candidate. */
  readonly medians: Medians;
  /** When it was found: milliseconds since 1970. */
  readonly atMs: number;
  /** How many loads have timed something: what there was no time for is left to the next. */
  readonly loads: number;
}

/** An adapter that has not timed all in so many loads never will. */
export const MOST_LOADS = 4;

/** Median milliseconds by family and candidate; a family in which nothing can be chosen has none. */
export type Medians = Readonly<Partial<Record<FamilyName, Readonly<Record<string, number>>>>>;

/** Where a worker keeps the tunings of its site. */
export function browserTunings(): TextFile {
  return opfsTextFile("sluice-variants.json");
}

/** Tunings that are kept; the oldest goes first. */
const MOST_KEPT = 64;

/** Of the file's form. */
const VERSION = 2;

/**
 * Tunings by key, kept in a file. A file that cannot be read or written costs nothing but the timing: what was found is
 * remembered as long as this lives.
 */
export class KeptTunings {
  readonly #file: TextFile | undefined;
  readonly #remembered = new Map<string, Tuning>();

  constructor(file: TextFile | undefined) {
    this.#file = file;
  }

  /** Whether what is found is kept for the next time. */
  get keeps(): boolean {
    return this.#file !== undefined;
  }

  async find(key: string): Promise<Tuning | undefined> {
    return this.#remembered.get(key) ?? (await this.#read()).get(key);
  }

  /**
   * Keeps a tuning. What another tab kept meanwhile, after as many loads, goes before it, so that both compute the same.
   * One for which there was no time at all is only remembered: another day may find something.
   */
  async keep(key: string, tuning: Tuning): Promise<Tuning> {
    const all = await this.#read();
    const known = all.get(key);
    const kept = known && known.loads >= tuning.loads ? known : tuning;
    this.#remembered.set(key, kept);
    if (kept !== tuning || !hasTimes(tuning.medians)) return kept;
    all.set(key, tuning);
    const newest = [...all].sort(([, a], [, b]) => b.atMs - a.atMs).slice(0, MOST_KEPT);
    const text = JSON.stringify({ version: VERSION, tunings: Object.fromEntries(newest) });
    await this.#file?.write(text).catch(() => {});
    return kept;
  }

  /** Forgets everything. Throws what the file throws: whoever clears wants to know. */
  async clear(): Promise<void> {
    this.#remembered.clear();
    await this.#file?.remove();
  }

  /** All that are kept, by key. */
  all(): Promise<ReadonlyMap<string, Tuning>> {
    return this.#read();
  }

  async #read(): Promise<Map<string, Tuning>> {
    try {
      return parseTunings((await this.#file?.read()) ?? "");
    } catch {
      return new Map();
    }
  }
}

function hasTimes(medians: Medians): boolean {
  return Object.values(medians).some((own) => Object.keys(own).length > 0);
}

/** The tunings of a file's text, without those that are not as they should be. Throws for what is no JSON. */
function parseTunings(text: string): Map<string, Tuning> {
  const found = new Map<string, Tuning>();
  if (text === "") return found;
  const { version, tunings } = JSON.parse(text) as Record<string, unknown>;
  if (version !== VERSION || typeof tunings !== "object" || tunings === null) return found;
  for (const [key, value] of Object.entries(tunings)) {
    if (isTuning(value)) found.set(key, value);
  }
  return found;
}

function isTuning(value: unknown): value is Tuning {
  const { choice, medians, atMs, loads } = (value ?? {}) as Record<string, unknown>;
  if (typeof choice !== "object" || choice === null || typeof atMs !== "number") return false;
  if (typeof loads !== "number") return false;
  if (typeof medians !== "object" || medians === null) return false;
  return familyNames.every((family) => {
    const name = (choice as Record<string, unknown>)[family];
    return typeof name === "string" && Object.hasOwn(candidates[family], name);
  });
}
