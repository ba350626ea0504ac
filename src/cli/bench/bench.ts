import { existsSync } from "node:fs";
import { SluiceError } from "../../errors.ts";
import type { ModelInfo } from "../../rpc/api.ts";
import { type LoadFlags, readChoice, readCount, readDepths, readLoadOptions } from "../flags.ts";
import type { CommandContext } from "../generate.ts";
import type { Job } from "../job.ts";
import { readLocation, refuseMissing } from "../location.ts";
import { type RuntimeName, readRuntime, runtimes } from "../runtimes/registry.ts";
import { PEERS_PARTS, type PeersTask, peerSections, targetsOf } from "./peers.ts";
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
  readonly peers?: boolean;
  readonly only?: string;
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

  if (flags.peers) {
    const only = readChoice("--only", flags.only, PEERS_PARTS);
    const peers: PeersTask = { ...task, kind: "peers", parts: only ? [only] : PEERS_PARTS };
    const context = { assets, output, signal };
    await comparePeers(runtime, { model: location, load, task: peers }, flags, context);
    return;
  }
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

/** `--peers`: the comparison, which has a page of its own. Throws "bad-input" where it cannot be made. */
async function comparePeers(
  runtime: RuntimeName,
  job: Job<PeersTask>,
  flags: BenchFlags,
  { assets, output, signal }: CommandContext,
): Promise<void> {
  if (runtime === "dawn" || runtime === "onnx") {
    throw new SluiceError("bad-input", "--peers needs a browser: --runtime chromium or firefox.");
  }
  if (assets.peers === undefined) {
    throw new SluiceError(
      "bad-input",
      "--peers needs packages that Sluice does not ship. Run it in a checkout of its repository: npm run --silent sluice -- bench --peers.",
    );
  }
  const result = await runtimes[runtime](
    job,
    {
      onProgress: output.progress,
      onModel: () => {},
      onStatus: output.status,
      onLog: output.log,
      signal,
    },
    { ...assets, runner: assets.peers },
  );
  output.status(undefined);
  if (flags.json) {
    output.json({ runtime, task: job.task, ...result, targets: targetsOf(result) });
    return;
  }
  const sections = peerSections(result);
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
