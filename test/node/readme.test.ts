import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { runtimes } from "../../src/cli/runtimes/registry.ts";
import { evictionPolicies } from "../../src/experts/policies/registry.ts";
import { predictors } from "../../src/experts/predictors/registry.ts";
import { cacheFormats } from "../../src/formats/cache/registry.ts";
import { weightFormats } from "../../src/formats/registry.ts";
import { architectures } from "../../src/models/registry.ts";
import { scoreFunctions } from "../../src/routing/registry.ts";
import { pacingRules } from "../../src/scheduler/pacing/registry.ts";

const ROWS = {
  architectures,
  "weight formats": weightFormats,
  "keys and values": cacheFormats,
  routers: scoreFunctions,
  "cache policies": evictionPolicies,
  predictors,
  "pacing rules": pacingRules,
  "runtimes of the command": runtimes,
};

test.for(Object.entries(ROWS))("README names all %s", async ([title, registry]) => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const [, cells] = new RegExp(`^\\| ${title} \\| (.*) \\|$`, "m").exec(readme) ?? [];
  const names = [...(cells ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name!);

  expect(names.sort()).toEqual(Object.keys(registry).sort());
});
