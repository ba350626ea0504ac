/**
 * The teacher's half of distil.py: llama.cpp on the CPU completes prompts, several in one batch.
 *
 *     node distil.mjs MODEL.gguf SEQUENCES < groups.jsonl > answers.jsonl
 *
 * A group is `{"prefix": "…", "jobs": [{"id": 0, "prompt": "…", "limit": 120, "temperature": 0.7, "seed": 1}, …]}`. The prefix is evaluated
 * once and kept for all jobs of its group. An answer is `{"id": 0, "text": "…", "ended": true}`, where `ended` says that
 * the teacher stopped by itself.
 */
import { createInterface } from "node:readline";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const ROOM = 768;
const SAMPLING = { topK: 40, topP: 0.95, minP: 0.05 };
// The teacher falls into loops without a penalty.
const REPEATS = { penalty: 1.08, lastTokens: 64 };

const [modelPath, sequencesText] = process.argv.slice(2);
const sequences = Number(sequencesText);
const llama = await getLlama({ gpu: false, maxThreads: 1, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({
  sequences,
  contextSize: ROOM,
  batchSize: ROOM,
  threads: 1,
  batching: { itemPrioritizationStrategy: "maximumParallelism" },
});

/** Completes one job after the first `kept` tokens of the sequence, and takes it back out again. */
async function complete(sequence, kept, { id, prompt, limit, temperature, seed }) {
  const made = [];
  const tokens = model.tokenize(prompt, true);
  const repeatPenalty = { ...REPEATS, punishTokens: () => made.slice(-REPEATS.lastTokens) };
  for await (const token of sequence.evaluate(tokens, {
    ...SAMPLING,
    temperature,
    seed,
    repeatPenalty,
  })) {
    made.push(token);
    if (made.length >= limit) break;
  }
  await sequence.eraseContextTokenRanges([{ start: kept, end: sequence.nextTokenIndex }]);
  return { id, text: model.detokenize(made), ended: made.length < limit };
}

const groups = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Takes groups until there are none left. */
async function work() {
  const sequence = context.getSequence();
  for (let line = await groups.next(); !line.done; line = await groups.next()) {
    const { prefix, jobs } = JSON.parse(line.value);
    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(model.tokenize(prefix, true));
    const kept = sequence.nextTokenIndex;
    for (const job of jobs) {
      process.stdout.write(`${JSON.stringify(await complete(sequence, kept, job))}\n`);
    }
  }
}

await Promise.all(Array.from({ length: sequences }, work));
await model.dispose();
