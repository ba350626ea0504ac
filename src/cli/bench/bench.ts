import { existsSync } from "node:fs";
import { SluiceError } from "../../errors.ts";
import type { ModelInfo } from "../../rpc/api.ts";
import { type LoadFlags, readCount, readDepths, readLoadOptions } from "../flags.ts";
import type { CommandContext } from "../generate.ts";
import { readLocation, refuseMissing } from "../location.ts";
import { readRuntime, runtimes } from "../runtimes/registry.ts";
import { formatSections, markdownSections, sectionsOf } from "./tables.ts";
import type { BenchTask } from "./task.ts";

/** The flags of `bench` as they stand on the command line; those with a default are always there. */
export interface BenchFlags extends LoadFlags {
  readonly promptTokens: string;
  readonly decodeTokens: string;
  readonly repeats: string;
  readonly depths: string;
  readonly runtime: string;
  readonly json?: boolean;
  readonly markdown?: boolean;
  readonly verbose?: boolean;
}

/** `sluice bench [MODEL]`: speeds and the kernel table, as text, or with `--json` one object at the end. */
export async function benchCommand(
  model: string | undefined,
  flags: BenchFlags,
  { assets, output, signal }: CommandContext,
): Promise<void> {
  const runtime = readRuntime(flags.runtime);
  const task: BenchTask = {
    kind: "bench",
    promptTokens: readCount("--prompt-tokens", flags.promptTokens),
    decodeTokens: readCount("--decode-tokens", flags.decodeTokens),
    repeats: readCount("--repeats", flags.repeats),
    depths: readDepths(flags.depths),
  };
  // Slots that fill meanwhile would be measured, too.
  const load = { fill: "wait", ...readLoadOptions(flags) } as const;
  const location = readLocation(model ?? bundledModel(assets.bundledModel));
  await refuseMissing(location);

  let info: ModelInfo | undefined;
  const result = await runtimes[runtime](
    { model: location, load, task },
    {
      onProgress: output.progress,
      onModel(model) {
        info = model;
      },
      onStatus: output.status,
      onLog: output.log,
      signal,
    },
    assets,
  );
  if (!info) throw new Error("unreachable: a bench without a model");
  output.status(undefined);

  if (flags.json) {
    output.json({ runtime, model: info, task, ...result });
    return;
  }
  const sections = sectionsOf(info, result);
  output.text(flags.markdown ? markdownSections(sections) : formatSections(sections));
}

/** The model that comes with Sluice. Throws "not-found" where it does not. */
function bundledModel(path: string | undefined): string {
  if (path !== undefined && existsSync(path)) return path;
  throw new SluiceError(
    "not-found",
    "The bundled model is not beside this command. Give the path or URL of a GGUF: sluice bench MODEL.",
  );
}
