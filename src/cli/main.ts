import { Command } from "commander";
import { SluiceError } from "../errors.ts";
import type { BenchFlags } from "./bench/bench.ts";
import { explainFailure } from "./failure.ts";
import { addLoadFlags, KV_CACHE_HELP } from "./flags.ts";
import type { CommandContext, GenerateCommandFlags } from "./generate.ts";
import type { InspectFlags } from "./inspect.ts";
import type { PageAssets } from "./job.ts";
import { createOutput } from "./output.ts";
import type { PerplexityFlags } from "./perplexity.ts";
import { runtimeNames } from "./runtimes/registry.ts";
import type { SimulateFlags } from "./simulate-flags.ts";

/** Status of a process that an interrupt ended, as shells have it. */
const INTERRUPTED = 130;

/**
 * Runs the `sluice` command with the arguments after its name and returns the exit status: 0, 2 with one line
 * `sluice: CODE: sentence` on standard error, or 1 for a bug.
 */
export async function runCli(args: readonly string[], assets: PageAssets): Promise<number> {
  const output = createOutput({ verbose: args.includes("--verbose") });
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  process.stdout.on("error", leave);

  const context: CommandContext = { assets, output, signal: interrupt.signal };
  try {
    if (args.length === 0) {
      throw new SluiceError(
        "bad-input",
        "Give a command: inspect, generate, perplexity, bench or simulate. See sluice --help.",
      );
    }
    await createProgram(context).parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return INTERRUPTED;
    const { status, text } = explainFailure(error);
    process.stderr.write(text);
    return status;
  } finally {
    await output.flush();
    process.off("SIGINT", onInterrupt);
    process.stdout.off("error", leave);
  }
}

/** The reader of a pipe may go early, as `head` does. */
function leave(): never {
  process.exit(0);
}

/** The commands and their flags. Each command's code is imported when it runs, so that `--help` is quick. */
function createProgram(context: CommandContext): Command {
  const program = new Command("sluice")
    .description("Runs sparse (mixture-of-experts) language models on WebGPU.")
    .helpCommand(false);

  program
    .command("inspect")
    .description(
      "Tells a model's architecture, tensors, bytes of an expert and what fits in a budget.",
    )
    .argument("[model]", "path or URL of a GGUF; of a split model, of any of its files")
    .option("--supported", "what can be loaded: architectures, formats, tokenizers and the rest")
    .option("--gpu-budget <budget>", "one more budget to plan for, such as 512MB or 50%")
    .option("--context <tokens>", "longest conversation; the KV cache is planned for it")
    .option("--kv-cache <format>", KV_CACHE_HELP)
    .option("--json", "one JSON object on standard output")
    .action(async (model: string | undefined, flags: InspectFlags) => {
      const { inspectCommand } = await import("./inspect.ts");
      await inspectCommand(model, flags, context);
    });

  const generate = program
    .command("generate")
    .description("Continues a text, token ids or a conversation.")
    .argument("<model>", "path or URL of a GGUF")
    .option("--prompt <text>", "text to continue")
    .option("--tokens <ids>", "token ids to continue, such as 1,2,3")
    .option("--chat <file>", "JSON file with the messages of a conversation to answer")
    .option("--max-tokens <count>", "most tokens to generate", "64")
    .option("--temperature <value>", "0 always takes the most probable token (default: 0)")
    .option("--top-k <count>", "keep the most probable tokens; 0 keeps all (default: 0)")
    .option(
      "--top-p <share>",
      "keep the fewest tokens whose probabilities sum to this (default: 1)",
    )
    .option("--min-p <share>", "drop tokens less probable than this times the best (default: 0)")
    .option("--repetition-penalty <factor>", "make recent tokens less likely (default: 1)")
    .option("--seed <number>", "same seed, same options, same tokens")
    .option("--stop <text>", "text that ends the reply; may be given more than once", collect, [])
    .option("--top-logprobs <count>", "log-probabilities of that many best tokens, with --json")
    .option("--trace <file>", "write the experts that every token chose, as JSON")
    .option("--context <tokens>", "longest conversation (default: the model's, at most 4096)")
    .action(async (model: string, flags: GenerateCommandFlags) => {
      const { generateCommand } = await import("./generate.ts");
      await generateCommand(model, flags, context);
    });
  addRunFlags(addLoadFlags(generate));

  const perplexity = program
    .command("perplexity")
    .description("Tells how probable a model finds a text: mean loss a token, and its perplexity.")
    .argument("<model>", "path or URL of a GGUF")
    .requiredOption("--text <file>", "UTF-8 text to score, with no token added")
    .option("--window <tokens>", "the text is cut into windows; each has a context", "512")
    .action(async (model: string, flags: PerplexityFlags) => {
      const { perplexityCommand } = await import("./perplexity.ts");
      await perplexityCommand(model, flags, context);
    });
  addRunFlags(addLoadFlags(perplexity));

  const bench = program
    .command("bench")
    .description(
      "Measures prefill and decode speed, and every kernel against the device's ceilings.",
    )
    .argument("[model]", "path or URL of a GGUF (default: the bundled model)")
    .option("--prompt-tokens <count>", "length of the prompts", "128")
    .option("--decode-tokens <count>", "tokens decoded behind each", "32")
    .option("--repeats <count>", "replies whose median counts, after one that does not", "5")
    .option("--depths <counts>", "decode speed behind so many tokens; none for none", "0,256,1024")
    .option("--context <tokens>", "longest conversation (default: the model's, at most 4096)")
    .option("--markdown", "tables in Markdown")
    .option("--peers", "onnxruntime-web and wllama beside Sluice, in the same page, turn by turn")
    .option("--only <part>", "with --peers: layer (a MoE layer) or model (a whole one)")
    .action(async (model: string | undefined, flags: BenchFlags) => {
      const { benchCommand } = await import("./bench/bench.ts");
      await benchCommand(model, flags, context);
    });
  addRunFlags(addLoadFlags(bench));

  program
    .command("simulate")
    .description("Replays a trace: hit rates, stalls and speed for budgets, policies, predictors.")
    .argument("<trace>", "file that generate --trace wrote")
    .option("--gpu-budget <budget>", "budget to try; may be given more than once", collect, [])
    .option("--ram-budget <budget>", "most to keep in RAM (default: 100%)")
    .option("--disk-budget <budget>", "most to keep on disk (default: 100%)")
    .option("--policy <name>", "policy to try, or belady; may be given more than once", collect, [])
    .option("--predictor <name>", "who says what will be wanted, auto or none (default: auto)")
    .option("--pacing <name>", "how far ahead is submitted (default: adaptive)")
    .option("--costs <file>", "JSON file of a device's measured costs")
    .option("--model <model>", "path or URL of the GGUF: its real bytes and memory plan")
    .option("--context <tokens>", "longest conversation, for the plan of --model")
    .option("--kv-cache <format>", `${KV_CACHE_HELP}, for the plan of --model`)
    .option("--cold", "nothing is on disk at the start, as on a first visit")
    .option("--layers", "the hit rate of each layer too")
    .option("--json", "one JSON object on standard output")
    .action(async (trace: string, flags: SimulateFlags) => {
      const { simulateCommand } = await import("./simulate.ts");
      await simulateCommand(trace, flags, context);
    });

  for (const command of [program, ...program.commands]) {
    // Commander's own error lines would come before ours, which hold the same sentence.
    command.exitOverride().configureOutput({ outputError: () => {} });
  }
  return program;
}

/** The flags of every command that runs a model. */
function addRunFlags(command: Command): Command {
  return command
    .option("--runtime <name>", `where to run: ${runtimeNames.join(", ")}`, "chromium")
    .option("--json", "one JSON object on standard output")
    .option("--verbose", "progress and the page's console on standard error");
}

function collect(value: string, values: readonly string[]): string[] {
  return [...values, value];
}
