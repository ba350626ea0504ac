import {
  ENGINES,
  type EngineName,
  type ModelRow,
  type PeersTask,
} from "../../../src/cli/bench/peers.ts";
import { spreadOf } from "../../../src/cli/bench/spread.ts";
import { BENCH_TEXT } from "../../../src/cli/bench/task.ts";
import type { PageJob } from "../../../src/cli/page/events.ts";
import { usualThreads } from "../../../src/engine/onnx/experts/thread-count.ts";
import { connect } from "../../../src/index.ts";
import { loadWllama } from "./wllama-model.ts";

/** Tokens a second. */
export interface ModelSpeed {
  readonly prefill: number;
  readonly decode: number;
}

/** A model that is loaded somewhere. */
export interface RunningModel {
  readonly note: string;
  /** Continues a text by so many tokens. */
  reply(prompt: string, tokens: number): Promise<ModelSpeed>;
  dispose(): Promise<unknown>;
}

/** Tokens of a word, about: each engine counts its own. */
const TOKENS_A_WORD = 1.3;

/** The context: the prompt, what is decoded, and words that are longer than most. */
const ROOM = 2;

/** How long an engine may take to load the model, or to answer for the first time. */
const LOAD_LIMIT_MS = 90_000;

/** Runs the same GGUF in every engine that can, in turns; those that cannot say why. */
export async function compareModels(
  job: PageJob,
  { promptTokens, decodeTokens, repeats }: PeersTask,
  onStatus: (line: string) => void,
): Promise<ModelRow[]> {
  const file = await (await fetch(job.model)).blob();
  const context = ROOM * (promptTokens + decodeTokens);
  // All engines have as many as Sluice takes.
  const threads = job.load.onnxThreads ?? usualThreads(navigator.hardwareConcurrency);
  const loaders: readonly (readonly [EngineName, () => Promise<RunningModel>])[] = [
    [ENGINES.sluice, () => loadSluice(job, file, "webgpu")],
    [ENGINES.sluiceWasm, () => loadSluice(job, file, "onnx")],
    [ENGINES.wllamaCpu, () => loadWllama(file, { where: "cpu", context, threads })],
    [ENGINES.wllamaWebgpu, () => loadWllama(file, { where: "webgpu", context, threads })],
  ];
  const rows: { engine: EngineName; note: string; model?: RunningModel; speeds: ModelSpeed[] }[] =
    [];
  for (const [engine, load] of loaders) {
    onStatus(`loading the model into ${engine}`);
    try {
      const model = await within(LOAD_LIMIT_MS, load());
      await within(LOAD_LIMIT_MS, model.reply(promptAt(0, promptTokens), 2));
      rows.push({ engine, note: model.note, model, speeds: [] });
    } catch (error) {
      rows.push({
        engine,
        note: error instanceof Error ? error.message : String(error),
        speeds: [],
      });
    }
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const { engine, model, speeds } of rows) {
      if (!model) continue;
      onStatus(`reply ${repeat + 1} of ${repeats} by ${engine}`);
      speeds.push(await model.reply(promptAt(1 + repeat, promptTokens), decodeTokens));
    }
  }
  await Promise.all(rows.map(({ model }) => model?.dispose()));
  return rows.map(({ engine, note, speeds }) => ({
    engine,
    note,
    ...(speeds.length > 0 && {
      prefill: spreadOf(speeds.map(({ prefill }) => prefill)),
      decode: spreadOf(speeds.map(({ decode }) => decode)),
    }),
  }));
}

/** What `work` gives, if it comes in time; an engine may hang where a browser lacks something. */
async function within<Result>(limitMs: number, work: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error(`It did not answer within ${limitMs / 1000} seconds.`));
    timer = setTimeout(fail, limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A text of about so many tokens, another for each `turn`: no engine can go on from the one before. */
function promptAt(turn: number, tokens: number): string {
  const words = BENCH_TEXT.trim().split(" ");
  const count = Math.max(1, Math.round(tokens / TOKENS_A_WORD));
  return Array.from({ length: count }, (_, i) => words[(11 * turn + i) % words.length]).join(" ");
}

async function loadSluice(
  job: PageJob,
  file: Blob,
  runtime: "webgpu" | "onnx",
): Promise<RunningModel> {
  const engine = await connect(new Worker(job.worker, { type: "module" }));
  await engine.load(file, { ...job.load, runtime, fill: "wait", diskBudget: 0 });
  const { threads } = (await engine.stats()).runtime;
  return {
    note: threads === undefined ? "" : `${threads} threads`,
    async reply(prompt, tokens) {
      const { stats } = await engine.generate(prompt, { maxTokens: tokens }).result;
      return {
        prefill: (1000 * stats.promptTokens) / stats.prefillMs,
        decode: stats.tokensPerSecond,
      };
    },
    dispose: () => engine.dispose(),
  };
}
