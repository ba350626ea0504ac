import { SluiceError } from "../errors.ts";
import { bailingmoe2 } from "./bailingmoe2.ts";
import { checkTensors } from "./decoder-tensors.ts";
import { deepseek2 } from "./deepseek2.ts";
import { ernie45Moe } from "./ernie4-5-moe.ts";
import { gemma4 } from "./gemma4.ts";
import { gptOss } from "./gpt-oss.ts";
import { granite, granitehybrid, granitemoe } from "./granite.ts";
import { lfm2 } from "./lfm2.ts";
import { lfm2moe } from "./lfm2moe.ts";
import { llama } from "./llama.ts";
import {
  type Architecture,
  type ModelFile,
  type ModelRules,
  type ModelSpec,
  withAhead,
} from "./model.ts";
import { olmoe } from "./olmoe.ts";
import { phimoe } from "./phimoe.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2moe } from "./qwen2moe.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3moe } from "./qwen3moe.ts";
import { sluice } from "./sluice.ts";
import { smallthinker } from "./smallthinker.ts";

/** Every architecture, by its name in a GGUF. To add one: write its file and name it here. */
export const architectures = {
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
} as const satisfies Record<string, Architecture>;

/** The name of an architecture. */
export type ArchitectureName = keyof typeof architectures;

/**
 * Reads a file's model.
 * Throws "unsupported-model" or "bad-file".
 *
 * @param ahead with the block that predicts further tokens, if the file has one
 */
export function readModel(
  file: ModelFile,
  rules: ModelRules = "published",
  ahead = false,
): ModelSpec {
  const name = file.metadata.optionalString("general.architecture");
  if (name === undefined) {
    throw new SluiceError(
      "bad-file",
      "The file does not say its architecture (general.architecture).",
    );
  }
  if (!Object.hasOwn(architectures, name)) {
    throw new SluiceError(
      "unsupported-model",
      `Sluice does not know the architecture "${name}". Choose a model of one of these: ${Object.keys(architectures).join(", ")}.`,
    );
  }
  const model = withAhead(architectures[name as ArchitectureName].read(file, rules), ahead);
  checkTensors(file, model);
  return model;
}
