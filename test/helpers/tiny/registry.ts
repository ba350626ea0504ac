import type { ArchitectureName } from "../../../src/models/registry.ts";
import { llama } from "./llama.ts";
import { olmoe } from "./olmoe.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3moe } from "./qwen3moe.ts";
import type { TinyArchitecture } from "./settings.ts";
import { sluice } from "./sluice.ts";
import { smallthinker } from "./smallthinker.ts";

/** How to write a tiny file of each architecture. */
export const tinyArchitectures: Readonly<Record<ArchitectureName, TinyArchitecture>> = {
  smallthinker,
  qwen3moe,
  olmoe,
  llama,
  qwen2,
  qwen3,
  sluice,
};
