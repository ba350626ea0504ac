import { connect, type LoadOptions, type SluiceEngine } from "../../src/index.ts";
import type { Accuracy, EngineStats } from "../../src/rpc/api.ts";

const engines = new Map<Accuracy, SluiceEngine>();

/** What `accuracy.ts` calls in its page. */
export const bench = {
  /** Loads the model into an engine of its own for each accuracy. */
  async open(url: string, accuracies: readonly Accuracy[], options: LoadOptions): Promise<void> {
    for (const accuracy of accuracies) {
      const engine = await connect(new Worker("/src/worker.ts", { type: "module" }));
      await engine.load(new URL(url, location.href), { runtime: "webgpu", ...options, accuracy });
      engines.set(accuracy, engine);
    }
  },

  async reply(accuracy: Accuracy, text: string, maxTokens: number): Promise<EngineStats> {
    const { stats } = await engines.get(accuracy)!.generate(text, { maxTokens }).result;
    return stats;
  },
};

Object.assign(globalThis, { bench });
