import { SluiceError } from "../errors.ts";
import type { GenerateOptions } from "../rpc/api.ts";
import type { SpeculationName } from "../speculation/registry.ts";
import { PLAIN, type SamplerSettings } from "./sampler.ts";
import { readSpeculation } from "./speculation/speculation.ts";

/** Generate options with every default filled in. */
export interface GenerateSettings {
  readonly maxTokens: number;
  readonly sampler: SamplerSettings;
  readonly seed: number;
  readonly stop: readonly string[];
  /** Undefined: no log-probabilities. */
  readonly topLogprobs: number | undefined;
  readonly trace: boolean;
  /** Undefined: as the model was loaded with. */
  readonly speculation: SpeculationName | undefined;
}

/** Seeds are drawn below this, so that they are whole numbers in any language. */
const SEED_RANGE = 2 ** 32;

/** Most entries of `topLogprobs`. */
const MAX_LOGPROBS = 1000;

/** Checks options and fills in defaults. Throws "bad-input" naming the option, what was got and what is allowed. */
export function readSettings(options: GenerateOptions): GenerateSettings {
  const number = (
    name: keyof GenerateOptions,
    fallback: number,
    allowed: { readonly min: number; readonly max?: number; readonly whole?: boolean },
  ): number => {
    const value = options[name] ?? fallback;
    const { min, max = Number.POSITIVE_INFINITY, whole = false } = allowed;
    const fits = typeof value === "number" && value >= min && value <= max;
    if (!fits || (whole && !Number.isInteger(value) && value !== Number.POSITIVE_INFINITY)) {
      const kind = whole ? "a whole number" : "a number";
      const range =
        max === Number.POSITIVE_INFINITY ? `of at least ${min}` : `from ${min} to ${max}`;
      throw new SluiceError(
        "bad-input",
        `${name} is ${String(value)}; it must be ${kind} ${range}.`,
      );
    }
    return value;
  };
  const stop = options.stop ?? [];
  if (!Array.isArray(stop) || stop.some((text) => typeof text !== "string" || text === "")) {
    throw new SluiceError("bad-input", "stop must be a list of texts, none of them empty.");
  }
  return {
    maxTokens: number("maxTokens", Number.POSITIVE_INFINITY, { min: 1, whole: true }),
    sampler: {
      temperature: number("temperature", PLAIN.temperature, { min: 0, max: 100 }),
      topK: number("topK", PLAIN.topK, { min: 0, whole: true }),
      topP: number("topP", PLAIN.topP, { min: 0, max: 1 }),
      minP: number("minP", PLAIN.minP, { min: 0, max: 1 }),
      repetitionPenalty: number("repetitionPenalty", PLAIN.repetitionPenalty, {
        min: 0.01,
        max: 100,
      }),
      repetitionWindow: number("repetitionWindow", PLAIN.repetitionWindow, { min: 0, whole: true }),
    },
    seed: number("seed", Math.floor(Math.random() * SEED_RANGE), { min: 0, whole: true }),
    stop,
    topLogprobs:
      options.topLogprobs === undefined
        ? undefined
        : number("topLogprobs", 0, { min: 0, max: MAX_LOGPROBS, whole: true }),
    trace: options.trace ?? false,
    speculation: readSpeculation(options.speculation),
  };
}
