import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, mkdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { markdownSections, markdownTable, sectionsOf } from "../../src/cli/bench/tables.ts";
import type { BenchResult } from "../../src/cli/bench/task.ts";
import { formatBytes } from "../../src/cli/units.ts";
import type { WeightFormatName } from "../../src/formats/registry.ts";
import type { ModelInfo } from "../../src/rpc/api.ts";
import { type PublishedModel, publishedModels } from "../helpers/published/models.ts";
import { writeRandomFile } from "../helpers/published/random-file.ts";
import { measureLlamaVulkan } from "./llama-vulkan.ts";

/**
 * Sluice through Dawn on this machine's GPU beside llama.cpp's Vulkan build: the bundled model, and files of random
 * weights with the shapes of published models, in Q4_0 and Q4_K. Prints Markdown for docs/measurements.md.
 *
 * `node test/bench/run.mjs test/bench/gpu.ts [--folder DIR] [--models bundled,smallThinker4b] [--formats q4_0,q4_k]
 * [--layers N] [--prompt-tokens 512] [--decode-tokens 64] [--repeats 5] [--depths 0,2048] [--accuracy exact,int8,f16]
 * [--out FILE] [--keep]`
 *
 * llama.cpp's build is `npm install --no-save @node-llama-cpp/linux-x64-vulkan` away; without it Sluice is measured alone.
 * The largest file takes 17 GB, in DIR and in the GPU's memory; each is deleted once it is measured, unless `--keep`.
 */
export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      folder: { type: "string", default: join(tmpdir(), "sluice-gpu-bench") },
      models: { type: "string", default: "bundled,smallThinker4b,olmoe,qwen3Moe" },
      formats: { type: "string", default: "q4_0,q4_k" },
      layers: { type: "string" },
      "prompt-tokens": { type: "string", default: "512" },
      "decode-tokens": { type: "string", default: "64" },
      repeats: { type: "string", default: "5" },
      depths: { type: "string", default: "0,2048" },
      accuracy: { type: "string", default: "exact,int8,f16" },
      out: { type: "string" },
      keep: { type: "boolean", default: false },
    },
  });
  const run: Run = {
    promptTokens: Number(values["prompt-tokens"]),
    decodeTokens: Number(values["decode-tokens"]),
    repeats: Number(values.repeats),
    depths: values.depths,
    accuracies: values.accuracy.split(","),
  };
  await mkdir(values.folder, { recursive: true });
  const layers = values.layers === undefined ? undefined : Number(values.layers);
  const formats = values.formats.split(",") as WeightFormatName[];
  const files = values.models.split(",").flatMap((name) => filesOf(name, formats, layers));
  const say = async (piece: string) => {
    console.log(piece);
    // At once: a machine that is lent may be taken back before the last model.
    if (values.out !== undefined) await appendFile(values.out, `${piece}\n`);
  };
  await say(await describeMachine());
  for (const file of files) await say(await measureFile(file, values.folder, run, values.keep));
}

interface Run {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly repeats: number;
  readonly depths: string;
  /** Of the first, kernels are listed, too. */
  readonly accuracies: readonly string[];
}

/** A model to measure: a file that is there, or one to be written. */
interface BenchFile {
  readonly title: string;
  readonly path?: string;
  readonly random?: {
    readonly model: PublishedModel;
    readonly format: WeightFormatName;
    readonly layers: number;
  };
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function filesOf(
  name: string,
  formats: readonly WeightFormatName[],
  layers: number | undefined,
): BenchFile[] {
  if (name === "bundled") {
    return [{ title: "Sluice Small", path: join(ROOT, "demo/models/sluice-small.gguf") }];
  }
  const model: PublishedModel | undefined = publishedModels[name as keyof typeof publishedModels];
  if (!model) {
    const known = ["bundled", ...Object.keys(publishedModels)].join(", ");
    throw new Error(`--models names ${name}; it must be of ${known}.`);
  }
  return formats.map((format) => {
    const own = Math.min(layers ?? model.layers, model.layers);
    const part = own < model.layers ? `, ${own} of ${model.layers} layers` : "";
    const title = `${model.name}, random weights, ${format.toUpperCase()}${part}`;
    return { title, random: { model, format, layers: own } };
  });
}

/** Markdown of one model: both engines, then Sluice's kernels. */
async function measureFile(
  { title, path, random }: BenchFile,
  folder: string,
  run: Run,
  keep: boolean,
): Promise<string> {
  let file = path;
  if (random) {
    const { model, format, layers } = random;
    file = join(folder, `${model.name}-${format}-${layers}.gguf`);
    if (!existsSync(file)) await write(file, random);
  }
  if (file === undefined) throw new Error("unreachable: neither a file nor a model");
  try {
    const rows: (string | number)[][] = [];
    let kernels = "";
    for (const accuracy of run.accuracies) {
      const name = `Sluice, Dawn, ${accuracy}`;
      const sluice = await measureSluice(file, run, accuracy).catch((error: Error) =>
        sentence(error),
      );
      if (typeof sluice === "string") {
        rows.push([name, "", "", sluice]);
        continue;
      }
      const speeds = [sluice.prefill, sluice.decode].map(({ tokensPerSecond }) =>
        digits(tokensPerSecond.median),
      );
      rows.push([name, ...speeds, sluice.adapter]);
      kernels ||= markdownSections(sectionsOf(sluice.model, sluice));
    }
    const llama = await measureLlamaVulkan(file, run).catch((error: Error) => sentence(error));
    rows.push(
      typeof llama === "string"
        ? ["llama.cpp, Vulkan", "", "", llama]
        : [
            "llama.cpp, Vulkan",
            digits(llama.prefill.median),
            digits(llama.decode.median),
            llama.device,
          ],
    );
    const speeds = markdownTable([["", "prefill, tokens/s", "decode, tokens/s", "on"], ...rows]);
    return `### ${title}\n\n${speeds}\n\n${kernels}`;
  } finally {
    if (random && !keep) await rm(file);
  }
}

async function write(path: string, random: NonNullable<BenchFile["random"]>): Promise<void> {
  const { model, format, layers } = random;
  let told = 0;
  const onProgress = (written: number, all: number) => {
    if (written - told < all / 10 && written < all) return;
    told = written;
    console.error(`${path}: ${formatBytes(written)} of ${formatBytes(all)}`);
  };
  // A run that is stopped leaves no file that looks whole.
  await writeRandomFile(`${path}.part`, model, { format, layers, onProgress });
  await rename(`${path}.part`, path);
}

type SluiceReport = BenchResult & { readonly model: ModelInfo };

/** `sluice bench` in a process of its own: its GPU memory is free again when it ends. */
async function measureSluice(path: string, run: Run, accuracy: string): Promise<SluiceReport> {
  const counts = ["--prompt-tokens", run.promptTokens, "--decode-tokens", run.decodeTokens];
  const flags = [...counts, "--repeats", run.repeats, "--depths", run.depths].map(String);
  const bin = join(ROOT, "src/cli/bin.mjs");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [bin, "bench", path, "--runtime", "dawn", "--json", "--accuracy", accuracy, ...flags],
    { maxBuffer: 64 << 20 },
  );
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as SluiceReport;
}

async function describeMachine(): Promise<string> {
  const { stdout } = await promisify(execFile)("nvidia-smi", [
    "--query-gpu=name,driver_version,memory.total",
    "--format=csv,noheader",
  ]).catch(() => ({ stdout: "" }));
  const gpu = stdout.trim() === "" ? "no NVIDIA GPU" : stdout.trim();
  const date = new Date().toISOString().slice(0, 10);
  return `## ${date}: ${gpu}, ${process.platform} ${process.arch}\n`;
}

/** The last line of a failure: the command's own sentence where it is one's. */
function sentence(error: Error & { readonly stderr?: string }): string {
  return (error.stderr || error.message).trim().split("\n").at(-1)!;
}

function digits(value: number): number {
  return Number(value.toPrecision(3));
}
