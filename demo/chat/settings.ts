import type { GenerateOptions } from "../../src/index.ts";

/** What a person set for replies. */
export interface Settings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly maxTokens: number;
  /** Undefined: a new seed for each reply. */
  readonly seed: number | undefined;
  readonly systemPrompt: string;
}

/** Lively but coherent; greedy replies are a setting away. */
export const DEFAULT_SETTINGS: Settings = {
  temperature: 0.5,
  topK: 40,
  topP: 0.95,
  maxTokens: 512,
  seed: undefined,
  systemPrompt: "",
};

/** Settings from the texts of the form's fields. What is empty or no number keeps its default; the rest is clamped. */
export function readSettings(fields: Readonly<Record<string, string>>): Settings {
  const read = (name: string, fallback: number, low: number, high: number, whole: boolean) => {
    const value = parseNumber(fields[name]);
    if (value === undefined) return fallback;
    const kept = Math.min(high, Math.max(low, value));
    return whole ? Math.round(kept) : kept;
  };
  const seed = parseNumber(fields.seed);
  return {
    temperature: read("temperature", DEFAULT_SETTINGS.temperature, 0, 2, false),
    topK: read("topK", DEFAULT_SETTINGS.topK, 0, 1000, true),
    topP: read("topP", DEFAULT_SETTINGS.topP, 0.05, 1, false),
    maxTokens: read("maxTokens", DEFAULT_SETTINGS.maxTokens, 1, 100_000, true),
    seed: seed === undefined ? undefined : Math.min(0xffff_ffff, Math.max(0, Math.round(seed))),
    systemPrompt: fields.systemPrompt ?? "",
  };
}

/** The options of `generate` that these settings stand for. */
export function toGenerateOptions(settings: Settings): GenerateOptions {
  const { temperature, topK, topP, maxTokens, seed } = settings;
  return { temperature, topK, topP, maxTokens, ...(seed !== undefined && { seed }) };
}

function parseNumber(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
