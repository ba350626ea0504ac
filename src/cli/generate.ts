import { writeFile } from "node:fs/promises";
import { abortError, SluiceError } from "../errors.ts";
import { serializeTrace } from "../experts/trace-file.ts";
import type { GenerateResult, ModelInfo, TokenChunk } from "../rpc/api.ts";
import { type GenerateFlags, readGenerateOptions, readLoadOptions, readPrompt } from "./flags.ts";
import type { PageAssets } from "./job.ts";
import { readLocation, refuseMissing } from "./location.ts";
import type { Output } from "./output.ts";
import { type RuntimeName, readRuntime, runtimes } from "./runtimes/registry.ts";
import { clearTunings } from "./tunings.ts";

/** {@link GenerateFlags}, and those that only the command itself reads. */
export interface GenerateCommandFlags extends GenerateFlags {
  readonly runtime: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** What the command stands on. */
export interface CommandContext {
  readonly assets: PageAssets;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** `sluice generate MODEL`: text as it comes, or with `--json` one object at the end. */
export async function generateCommand(
  model: string,
  flags: GenerateCommandFlags,
  { assets, output, signal }: CommandContext,
): Promise<void> {
  const runtime = readRuntime(flags.runtime);
  const location = readLocation(model);
  const load = readLoadOptions(flags);
  const prompt = readPrompt(flags);
  const options = readGenerateOptions(flags);
  if (load.contextTokens !== undefined && (options.maxTokens ?? 0) > load.contextTokens) {
    throw new SluiceError(
      "bad-input",
      `--max-tokens ${options.maxTokens} does not fit into --context ${load.contextTokens}.`,
    );
  }
  await refuseMissing(location);
  if (flags.clearTuning) await clearTunings();

  const chunks: TokenChunk[] = [];
  let info: ModelInfo | undefined;
  const result = await runtimes[runtime](
    { model: location, load, task: { kind: "generate", prompt, options } },
    {
      onProgress: output.progress,
      onModel(model) {
        info = model;
      },
      onChunk(chunk) {
        chunks.push(chunk);
        if (!flags.json) output.text(chunk.text);
      },
      onLog: output.log,
      signal,
    },
    assets,
  );
  if (result.finishReason === "aborted") throw abortError("The reply");
  if (!info) throw new Error("unreachable: a reply without a model");

  if (flags.trace !== undefined) await writeTrace(flags.trace, result);
  if (flags.json) output.json(describe(runtime, info, result, chunks));
  else output.text("\n");
}

async function writeTrace(path: string, { trace }: GenerateResult): Promise<void> {
  if (!trace) throw new Error("unreachable: a reply with trace: true has no trace");
  try {
    await writeFile(path, `${serializeTrace(trace)}\n`);
  } catch (cause) {
    throw new SluiceError("bad-input", `${path}: the file of --trace cannot be written.`, {
      cause,
    });
  }
}

function describe(
  runtime: RuntimeName,
  model: ModelInfo,
  { trace: _trace, stats, ...result }: GenerateResult,
  chunks: readonly TokenChunk[],
): object {
  const logprobs = chunks.flatMap((chunk) => chunk.logprobs ?? []);
  return { runtime, model, ...result, logprobs, stats };
}
