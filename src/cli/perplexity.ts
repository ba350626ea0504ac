import { readFile } from "node:fs/promises";
import { SluiceError } from "../errors.ts";
import type { ModelInfo } from "../rpc/api.ts";
import { type LoadFlags, readLoadOptions, readWindowFlag } from "./flags.ts";
import type { CommandContext } from "./generate.ts";
import { readLocation, refuseMissing } from "./location.ts";
import { readRuntime, runtimes } from "./runtimes/registry.ts";
import type { TextScore } from "./score-text.ts";
import { clearTunings } from "./tunings.ts";

/** The flags of `perplexity`. */
export interface PerplexityFlags extends LoadFlags {
  readonly text: string;
  readonly window: string;
  readonly runtime: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** `sluice perplexity MODEL --text FILE`: how probable a model finds a text, by the rule of `scoreText`. */
export async function perplexityCommand(
  model: string,
  flags: PerplexityFlags,
  { assets, output, signal }: CommandContext,
): Promise<void> {
  const runtime = readRuntime(flags.runtime);
  const windowTokens = readWindowFlag(flags.window);
  // A KV cache for more than a window would only take room from the experts.
  const load = { ...readLoadOptions(flags), contextTokens: windowTokens };
  const location = readLocation(model);
  const text = await readText(flags.text);
  await refuseMissing(location);
  if (flags.clearTuning) await clearTunings();

  let info: ModelInfo | undefined;
  const score = await runtimes[runtime](
    { model: location, load, task: { kind: "score", text, windowTokens } },
    {
      onProgress: output.progress,
      onModel(model) {
        info = model;
      },
      onWindow: ({ windows, allWindows, loss }) =>
        output.status(
          windows < allWindows
            ? `window ${windows} of ${allWindows}, perplexity ${Math.exp(loss).toFixed(4)} so far`
            : undefined,
        ),
      onLog: output.log,
      signal,
    },
    assets,
  ).catch((error: unknown) => {
    throw namingWindow(error, windowTokens);
  });
  if (!info) throw new Error("unreachable: a score without a model");

  const perplexity = Math.exp(score.loss);
  if (flags.json) output.json({ runtime, model: info, windowTokens, perplexity, ...score });
  else output.text(describe(score, perplexity));
}

/** The text as it is in the file, a byte order mark included. */
async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new SluiceError("not-found", `${path}: the file of --text cannot be read.`, { cause });
  }
  if (bytes.length === 0) throw new SluiceError("bad-input", `${path}: the text is empty.`);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SluiceError("bad-input", `${path}: the file of --text is not UTF-8.`, { cause });
  }
}

/** The engine knows the window as its context. */
function namingWindow(error: unknown, windowTokens: number): unknown {
  const names = error instanceof SluiceError && error.message.startsWith("contextTokens ");
  if (!names) return error;
  return new SluiceError(
    "bad-input",
    `--window ${windowTokens} does not fit into this model's context: ${error.message}`,
    { cause: error },
  );
}

function describe(
  { windows, tokens, loss, standardError, stats }: TextScore,
  perplexity: number,
): string {
  const spread = (perplexity * standardError).toFixed(4);
  return [
    `perplexity ${perplexity.toFixed(4)} ± ${spread}`,
    `loss       ${loss.toFixed(5)} ± ${standardError.toFixed(5)} nats a token`,
    `scored     ${tokens} tokens in ${windows} windows, ${stats.tokensPerSecond.toPrecision(3)} tokens a second`,
    `experts    ${stats.expertHits} hits, ${stats.expertMisses} misses`,
    "",
  ].join("\n");
}
