import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { variantKinds } from "../engine/tuning/choices.ts";
import { readWantedVariants } from "../engine/tuning/wanted.ts";
import { SluiceError } from "../errors.ts";
import { evictionPolicies } from "../experts/policies/registry.ts";
import { predictors } from "../experts/predictors/registry.ts";
import {
  type CacheFormatName,
  cacheFormats,
  DEFAULT_CACHE_FORMAT,
} from "../formats/cache/registry.ts";
import { accuracies, DEFAULT_ACCURACY } from "../formats/input/registry.ts";
import { modelRules } from "../models/model.ts";
import type {
  ChatMessage,
  GenerateOptions,
  LoadOptions,
  PinnedVariants,
  Prompt,
} from "../rpc/api.ts";
import { parseBudget } from "../scheduler/budget.ts";
import { pacingRules } from "../scheduler/pacing/registry.ts";
import { speculations } from "../speculation/registry.ts";

/** The flags of every command that loads a model: see `addLoadFlags`, but for the context, which not all take. */
export interface LoadFlags {
  readonly gpuBudget?: string;
  readonly ramBudget?: string;
  readonly diskBudget?: string;
  readonly policy?: string;
  readonly predictor?: string;
  readonly pacing?: string;
  readonly fill?: string;
  readonly context?: string;
  readonly kvCache?: string;
  readonly accuracy?: string;
  readonly variants?: string;
  /** False with `--no-autotune`. */
  readonly autotune?: boolean;
  readonly clearTuning?: boolean;
  readonly rules?: string;
  readonly speculation?: string;
  readonly threads?: string;
}

/** The flags of `generate` as they stand on the command line; those with a default are always there. */
export interface GenerateFlags extends LoadFlags {
  readonly prompt?: string;
  readonly tokens?: string;
  readonly chat?: string;
  readonly maxTokens: string;
  readonly temperature?: string;
  readonly topK?: string;
  readonly topP?: string;
  readonly minP?: string;
  readonly repetitionPenalty?: string;
  readonly seed?: string;
  readonly stop: readonly string[];
  readonly topLogprobs?: string;
  readonly trace?: string;
}

/** Gives a command the flags of {@link LoadFlags}. */
export function addLoadFlags(command: Command): Command {
  const policies = Object.keys(evictionPolicies).join(", ");
  const knownPredictors = ["auto", "none", ...Object.keys(predictors)].join(", ");
  return command
    .option("--gpu-budget <budget>", "most to take of the GPU: 512MB, or 50% of the experts")
    .option("--ram-budget <budget>", "most that expert records may take of RAM")
    .option("--disk-budget <budget>", "most to keep in the browser's storage; 0MB keeps nothing")
    .option("--policy <name>", `which expert leaves a full tier: ${policies}`)
    .option("--predictor <name>", `who says what will be wanted: ${knownPredictors}`)
    .option("--pacing <name>", `what is read how early: ${Object.keys(pacingRules).join(", ")}`)
    .option(
      "--fill <when>",
      `when empty slots are filled: ${FILLS.join(", ")} (default: background)`,
    )
    .option("--kv-cache <format>", KV_CACHE_HELP)
    .option(
      "--accuracy <name>",
      `what products read of their input: ${namesOf(accuracies).join(", ")} (default: ${DEFAULT_ACCURACY})`,
    )
    .option(
      "--variants <choice>",
      `kernel variants: ${VARIANTS.join(", ")} (default: auto), or family=name,… (see stats.variants)`,
    )
    .option("--no-autotune", "time no variants: the default of the adapter's class")
    .option("--clear-tuning", "forget which variants were found to be fastest, and time again")
    .option(
      "--rules <whose>",
      `where llama.cpp departs from a model's own code: ${modelRules.join(", ")} (default: published)`,
    )
    .option(
      "--speculation <how>",
      `how tokens are drafted, which changes none: ${speculations.join(", ")} (default: off)`,
    )
    .option(
      "--threads <count>",
      "threads of --runtime onnx (default: as many as there are cores, at most 4)",
    );
}

/** Of `--kv-cache`, which `inspect` has too. */
export const KV_CACHE_HELP = `how keys and values are kept: ${Object.keys(cacheFormats).join(", ")} (default: ${DEFAULT_CACHE_FORMAT})`;

const FILLS = ["background", "wait", "off"] as const;
const VARIANTS = ["auto", ...variantKinds] as const;

/** The prompt of `--prompt`, `--tokens` or `--chat`. Throws "bad-input" unless there is exactly one. */
export function readPrompt(flags: GenerateFlags): Prompt {
  const given = [flags.prompt, flags.tokens, flags.chat].filter((flag) => flag !== undefined);
  if (given.length !== 1) {
    throw bad(
      given.length === 0
        ? "there is nothing to generate from: give --prompt TEXT, --tokens 1,2,3 or --chat FILE"
        : "give only one of --prompt, --tokens and --chat",
    );
  }
  if (flags.tokens !== undefined) return { tokens: readTokens(flags.tokens) };
  if (flags.chat !== undefined) return { messages: readChat(flags.chat) };
  if (!flags.prompt) throw bad("--prompt is empty: give a text of at least one character");
  return { text: flags.prompt };
}

/** The engine's options for a reply. Throws "bad-input", naming the flag. */
export function readGenerateOptions(flags: GenerateFlags): GenerateOptions {
  if (flags.stop.includes("")) throw bad("--stop is empty: give a text of at least one character");
  return defined({
    maxTokens: readNumber("--max-tokens", flags.maxTokens, { least: 1, whole: true }),
    temperature: readNumber("--temperature", flags.temperature, { least: 0 }),
    topK: readNumber("--top-k", flags.topK, { least: 0, whole: true }),
    topP: readNumber("--top-p", flags.topP, { least: 0, most: 1 }),
    minP: readNumber("--min-p", flags.minP, { least: 0, most: 1 }),
    repetitionPenalty: readNumber("--repetition-penalty", flags.repetitionPenalty, { least: 0.01 }),
    seed: readNumber("--seed", flags.seed, { least: 0, whole: true }),
    topLogprobs: readNumber("--top-logprobs", flags.topLogprobs, { least: 0, whole: true }),
    stop: flags.stop.length > 0 ? flags.stop : undefined,
    trace: flags.trace === undefined ? undefined : true,
  });
}

/** The engine's options for loading. Throws "bad-input", naming the flag. */
export function readLoadOptions(flags: LoadFlags): LoadOptions {
  const { gpuBudget, ramBudget, diskBudget } = flags;
  for (const budget of [gpuBudget, ramBudget, diskBudget]) {
    if (budget !== undefined) parseBudget(budget);
  }
  return defined({
    gpuBudget,
    ramBudget,
    diskBudget,
    policy: readChoice("--policy", flags.policy, namesOf(evictionPolicies)),
    predictor: readChoice("--predictor", flags.predictor, [
      "auto",
      "none",
      ...namesOf(predictors),
    ] as const),
    pacing: readChoice("--pacing", flags.pacing, namesOf(pacingRules)),
    fill: readChoice("--fill", flags.fill, FILLS),
    contextTokens: readContextFlag(flags.context),
    kvCache: readKvCacheFlag(flags.kvCache),
    accuracy: readChoice("--accuracy", flags.accuracy, namesOf(accuracies)),
    variants: readVariants(flags.variants),
    autotune: flags.autotune === false ? false : undefined,
    rules: readChoice("--rules", flags.rules, modelRules),
    speculation: readChoice("--speculation", flags.speculation, speculations),
    onnxThreads: flags.threads === undefined ? undefined : readCount("--threads", flags.threads),
  });
}

/** A kind, or `family=name` pairs with commas between. Throws "bad-input". */
function readVariants(text: string | undefined): LoadOptions["variants"] {
  if (!text?.includes("=")) return readChoice("--variants", text, VARIANTS);
  const pinned: PinnedVariants = Object.fromEntries(
    text.split(",").map((pair) =>
      /^([^=]*)=?(.*)$/s
        .exec(pair)!
        .slice(1)
        .map((word) => word.trim()),
    ),
  );
  try {
    readWantedVariants({ variants: pinned });
  } catch (error) {
    throw error instanceof SluiceError ? bad(`--variants: ${error.message}`) : error;
  }
  return pinned;
}

function namesOf<Registry extends object>(registry: Registry): (keyof Registry & string)[] {
  return Object.keys(registry) as (keyof Registry & string)[];
}

/** The tokens of `--context`. Throws "bad-input". */
export function readContextFlag(text: string | undefined): number | undefined {
  return readNumber("--context", text, { least: 1, whole: true });
}

/** The format of `--kv-cache`. Throws "bad-input". */
export function readKvCacheFlag(text: string | undefined): CacheFormatName | undefined {
  return readChoice("--kv-cache", text, namesOf(cacheFormats));
}

/** The tokens of `--window`. Throws "bad-input". */
export function readWindowFlag(text: string): number {
  return readNumber("--window", text, { least: 2, whole: true }) as number;
}

/** A whole number above 0. Throws "bad-input", naming the flag. */
export function readCount(flag: string, text: string): number {
  return readNumber(flag, text, { least: 1, whole: true }) as number;
}

/** The depths of `--depths`, ascending. Throws "bad-input". */
export function readDepths(text: string): number[] {
  if (text.trim() === "" || text === "none") return [];
  const depths = text
    .split(",")
    .map((depth) => readNumber("--depths", depth.trim(), { least: 0, whole: true }) as number);
  return [...new Set(depths)].sort((a, b) => a - b);
}

/** `value` if it is one of `choices`. Throws "bad-input". */
export function readChoice<Choice extends string>(
  flag: string,
  value: string | undefined,
  choices: readonly Choice[],
): Choice | undefined {
  const choice = choices.find((choice) => choice === value);
  if (choice === undefined && value !== undefined) {
    throw bad(`${flag} is ${JSON.stringify(value)}, must be one of ${choices.join(", ")}`);
  }
  return choice;
}

interface NumberRule {
  readonly least: number;
  readonly most?: number;
  readonly whole?: boolean;
}

function readNumber(
  flag: string,
  text: string | undefined,
  { least, most = Number.MAX_SAFE_INTEGER, whole = false }: NumberRule,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
  const kind = whole ? "whole number" : "number";
  throw bad(`${flag} is ${JSON.stringify(text)}, must be a ${kind}, ${range}`);
}

function readTokens(text: string): number[] {
  const tokens = text.split(",").map((id) => (/^\s*\d+\s*$/.test(id) ? Number(id) : Number.NaN));
  if (tokens.every(Number.isSafeInteger)) return tokens;
  throw bad(`--tokens is ${JSON.stringify(text)}, must be token ids such as 1,2,3`);
}

function readChat(path: string): ChatMessage[] {
  const messages = parseChat(path);
  if (Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)) return messages;
  throw bad(
    `${path}: must hold an array of messages such as { "role": "user", "content": "Hello" }`,
  );
}

/** The messages of a file: an array, or an object that has one, like a request in OpenAI's shape. */
function parseChat(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new SluiceError("not-found", `${path}: the file of --chat cannot be read.`, { cause });
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "messages" in value
      ? value.messages
      : value;
  } catch (cause) {
    throw bad(`${path}: the file of --chat is not JSON`, cause);
  }
}

const ROLES: readonly unknown[] = [
  "system",
  "user",
  "assistant",
  "tool",
] satisfies ChatMessage["role"][];

function isMessage(value: unknown): value is ChatMessage {
  if (typeof value !== "object" || value === null) return false;
  const { role, content } = value as Partial<ChatMessage>;
  return ROLES.includes(role) && typeof content === "string";
}

/** `options` without the keys whose value is undefined. */
function defined<Options extends object>(options: Options): Defined<Options> {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<Options>;
}

type Defined<Options> = { [Key in keyof Options]?: Exclude<Options[Key], undefined> };

function bad(sentence: string, cause?: unknown): SluiceError {
  return new SluiceError("bad-input", `${sentence}.`, { cause });
}
