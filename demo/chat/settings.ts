import type {
  EvictionPolicyName,
  GenerateOptions,
  LoadCallOptions,
  PacingName,
  PredictorName,
  RuntimeWanted,
} from "../../src/index.ts";

/** A choice of a list, with what it is called in the page. */
type Choices<Name extends string> = Readonly<Record<Name, string>>;

/** Which expert leaves a full tier. */
export const POLICIES = {
  "lfu-decayed": "The one used least of late",
  lru: "The one used longest ago",
  "cost-aware": "The one that is cheapest to bring back",
  pinned: "Any but those used most",
} as const satisfies Choices<EvictionPolicyName>;

/** Who says which experts come next. Exact ones are not offered by name: each fits one kind of router. */
export const PREDICTORS = {
  auto: "The model's own router, where it can",
  none: "Nobody",
  "next-layer": "A guess by the next layer's router",
  "previous-token": "A guess by the token before",
  "token-table": "A guess by what each token chose",
  "activation-history": "A guess by replies like this one",
} as const satisfies Partial<Choices<PredictorName | "auto" | "none">>;

/** How much is submitted before results are read. */
export const PACINGS = {
  adaptive: "As measured times advise",
  tokens: "Several tokens",
  pass: "A whole token",
  segments: "A few layers",
  layer: "One layer",
} as const satisfies Choices<PacingName>;

/** What computes. */
export const RUNTIMES = {
  auto: "Automatic",
  webgpu: "WebGPU",
  onnx: "WebAssembly",
} as const satisfies Choices<RuntimeWanted>;

/** What a person set: for replies, and for the next load. */
export interface Settings {
  readonly runtime: RuntimeWanted;
  readonly policy: keyof typeof POLICIES;
  readonly predictor: keyof typeof PREDICTORS;
  readonly pacing: keyof typeof PACINGS;
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
  runtime: "auto",
  policy: "lfu-decayed",
  predictor: "auto",
  pacing: "adaptive",
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
    runtime: readChoice(fields.runtime, RUNTIMES, DEFAULT_SETTINGS.runtime),
    policy: readChoice(fields.policy, POLICIES, DEFAULT_SETTINGS.policy),
    predictor: readChoice(fields.predictor, PREDICTORS, DEFAULT_SETTINGS.predictor),
    pacing: readChoice(fields.pacing, PACINGS, DEFAULT_SETTINGS.pacing),
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

/** The options of `load` that these settings stand for. */
export function toEngineOptions(settings: Settings): LoadCallOptions {
  const { runtime, policy, predictor, pacing } = settings;
  return { runtime, policy, predictor, pacing };
}

/** What computes, as the address of the page says: `?runtime=webgpu`. */
export function readRuntime(address: string): RuntimeWanted {
  const asked = new URL(address).searchParams.get("runtime") ?? undefined;
  return readChoice(asked, RUNTIMES, DEFAULT_SETTINGS.runtime);
}

/** `address` with that runtime, as {@link readRuntime} reads it, so that a reload keeps it. */
export function withRuntime(address: string, runtime: RuntimeWanted): string {
  const url = new URL(address);
  if (runtime === DEFAULT_SETTINGS.runtime) url.searchParams.delete("runtime");
  else url.searchParams.set("runtime", runtime);
  return url.href;
}

function readChoice<Name extends string>(
  text: string | undefined,
  choices: Choices<Name>,
  fallback: Name,
): Name {
  const names = Object.keys(choices) as Name[];
  return names.find((name) => name === text) ?? fallback;
}

function parseNumber(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
