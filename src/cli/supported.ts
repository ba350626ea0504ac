import { evictionPolicies } from "../experts/policies/registry.ts";
import { predictors } from "../experts/predictors/registry.ts";
import { cacheFormats } from "../formats/cache/registry.ts";
import { accuracies } from "../formats/input/registry.ts";
import { weightFormats } from "../formats/registry.ts";
import { architectures } from "../models/registry.ts";
import { scoreFunctions } from "../routing/registry.ts";
import { pacingRules } from "../scheduler/pacing/registry.ts";
import { drafters } from "../speculation/registry.ts";
import { preTokenizers } from "../tokenizer/pre-tokenizers.ts";
import { tokenizerKinds } from "../tokenizer/vocabulary.ts";
import { runtimes } from "./runtimes/registry.ts";

/** What `inspect --supported` tells: the names of every registry. */
const REGISTRIES = {
  architectures,
  "weight formats": weightFormats,
  "keys and values": cacheFormats,
  accuracies,
  tokenizers: tokenizerKinds,
  "pre-tokenizers": preTokenizers,
  routers: scoreFunctions,
  "cache policies": evictionPolicies,
  predictors,
  "pacing rules": pacingRules,
  drafters,
  "runtimes of the command": runtimes,
} as const satisfies Record<string, object>;

/** What a name of {@link supported} is the name of. */
export type SupportedKind = keyof typeof REGISTRIES;

/** The names of all that Sluice can load and be told to do, as files and flags spell them. */
export function supported(): Readonly<Record<SupportedKind, readonly string[]>> {
  const names = Object.entries(REGISTRIES).map(([kind, registry]) => [kind, Object.keys(registry)]);
  return Object.fromEntries(names);
}

/** {@link supported} as a table of Markdown: the README's. */
export function supportedTable(): string {
  const rows = Object.entries(supported()).map(([kind, names]) => {
    return `| ${kind} | ${names.map((name) => `\`${name}\``).join(", ")} |`;
  });
  return ["| | |", "| --- | --- |", ...rows].join("\n");
}
