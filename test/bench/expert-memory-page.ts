import { connect, type LoadOptions, type SluiceEngine } from "../../src/index.ts";
import type { EngineStats, RoutingTrace } from "../../src/rpc/api.ts";

/** One reply, and what it cost. */
export interface Sample {
  readonly stats: EngineStats;
  readonly tokens: readonly number[];
  readonly trace: RoutingTrace;
}

const engines: SluiceEngine[] = [];

/** What `expert-memory.ts` calls in its page. */
export const bench = {
  /** Starts an engine with a device of its own. */
  async open(url: string, options: LoadOptions): Promise<void> {
    const engine = await connect(new Worker("/src/worker.ts", { type: "module" }));
    await engine.load(new URL(url, location.href), { runtime: "webgpu", ...options });
    engines.push(engine);
  },

  /** Has engine `index` reply, greedily. */
  async reply(index: number, content: string, maxTokens: number): Promise<Sample> {
    const reply = engines[index]!.chat([{ role: "user", content }], { maxTokens, trace: true });
    const { stats, tokens, trace } = await reply.result;
    return { stats, tokens, trace: trace! };
  },
};

Object.assign(globalThis, { bench });
