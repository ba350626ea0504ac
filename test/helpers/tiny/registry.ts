import type { ArchitectureName } from "../../../src/models/registry.ts";
import { bailingmoe2 } from "./bailingmoe2.ts";
import { deepseek2 } from "./deepseek2.ts";
import { ernie45Moe } from "./ernie4-5-moe.ts";
import { gemma4 } from "./gemma4.ts";
import { gptOss } from "./gpt-oss.ts";
import { granite, granitehybrid, granitemoe } from "./granite.ts";
import { lfm2, lfm2moe } from "./lfm2.ts";
import { llama } from "./llama.ts";
import { olmoe } from "./olmoe.ts";
import { phimoe } from "./phimoe.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2moe } from "./qwen2moe.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3moe } from "./qwen3moe.ts";
import type { TinyArchitecture } from "./settings.ts";
import { sluice } from "./sluice.ts";
import { smallthinker } from "./smallthinker.ts";

/** How to write a tiny file of each architecture. */
export const tinyArchitectures: Readonly<Record<ArchitectureName, TinyArchitecture>> = {
  smallthinker,
  qwen2moe,
  qwen3moe,
  olmoe,
  llama,
  granite,
  granitemoe,
  granitehybrid,
  lfm2,
  lfm2moe,
  deepseek2,
  gemma4,
  bailingmoe2,
  "ernie4_5-moe": ernie45Moe,
  phimoe,
  qwen2,
  qwen3,
  "gpt-oss": gptOss,
  sluice,
};
