import { type ChatMessage, connect, type LoadOptions, type SluiceEngine } from "../../src/index.ts";
import type { EngineStats, SpeculationName } from "../../src/rpc/api.ts";

/** One reply, and what it cost. */
export interface Sample {
  readonly stats: EngineStats;
  readonly tokens: readonly number[];
  readonly text: string;
}

let engine: SluiceEngine;

/** What `speculation.ts` calls in its page. */
export const bench = {
  async open(url: string, options: LoadOptions): Promise<void> {
    engine = await connect(new Worker("/src/worker.ts", { type: "module" }));
    await engine.load(new URL(url, location.href), { runtime: "webgpu", ...options });
  },

  async reply(
    messages: readonly ChatMessage[],
    speculation: SpeculationName,
    maxTokens: number,
  ): Promise<Sample> {
    const reply = engine.chat(messages, { maxTokens, speculation });
    const { stats, tokens, text } = await reply.result;
    return { stats, tokens, text };
  },
};

Object.assign(globalThis, { bench });
