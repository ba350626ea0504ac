import { expect, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const LAYERS = 3;
const TOKENS = 6;
const PROMPT = { tokens: [5, 17, 99, 3] };

/** Counts calls of a WebGPU method until `restore`. */
function countCalls<Target extends object>(target: Target, method: keyof Target) {
  const original = target[method] as (...args: unknown[]) => unknown;
  let calls = 0;
  target[method] = function (this: unknown, ...args: unknown[]) {
    calls++;
    return original.apply(this, args);
  } as Target[keyof Target];
  return {
    get calls() {
      return calls;
    },
    restore() {
      target[method] = original as Target[keyof Target];
    },
  };
}

test.for([
  ["smallthinker", 12],
  ["qwen3moe", 12],
  ["olmoe", 12],
  ["granitehybrid", 16],
] as const)(
  "a decoded token of %s takes one submit, one readback, one write, and at most %d dispatches a layer",
  async ([architecture, dispatches]) => {
    const engine = createEngine({ gpu: navigator.gpu });
    const sizes = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, layers: LAYERS };
    await engine.load(
      tinyModel({ ...sizes, architecture, format: "q4_0", seed: 2 }).buffer,
      { fill: "wait" },
      {},
    );
    // The first reply allocates what later ones use again.
    await replyOf(engine, PROMPT, { maxTokens: TOKENS });
    const counts = {
      dispatches: countCalls(GPUComputePassEncoder.prototype, "dispatchWorkgroups"),
      submits: countCalls(GPUQueue.prototype, "submit"),
      writes: countCalls(GPUQueue.prototype, "writeBuffer"),
      readbacks: countCalls(GPUBuffer.prototype, "mapAsync"),
      bindGroups: countCalls(GPUDevice.prototype, "createBindGroup"),
      buffers: countCalls(GPUDevice.prototype, "createBuffer"),
    };
    const firefoxNudges = navigator.userAgent.includes("Firefox");
    try {
      const { stats } = await replyOf(engine, PROMPT, { maxTokens: TOKENS });

      expect(stats.faults).toBe(0);
      // One pass for the prompt, one for each token after the first; the same number of dispatches in each but for
      // what only a prompt takes: the lists of each layer's experts, and the copy of its last token.
      const perToken = dispatches * LAYERS + 4;
      expect(stats.dispatchesPerLayer).toBeLessThanOrEqual(dispatches);
      expect(stats.dispatchesPerToken).toBeLessThanOrEqual(perToken);
      expect(counts.dispatches.calls).toBeLessThanOrEqual(TOKENS * perToken + LAYERS + 1);
      expect(counts.dispatches.calls).toBeGreaterThan(TOKENS * stats.dispatchesPerToken - 1);
      expect(stats.readbacksPerToken).toBe(1);
      expect(counts.readbacks.calls).toBe(TOKENS);
      expect(stats.submitsPerToken).toBe(1);
      // Firefox is nudged out of its polling with empty submits.
      if (!firefoxNudges) expect(counts.submits.calls).toBe(TOKENS);
      expect(counts.writes.calls).toBe(TOKENS);
      expect(counts.bindGroups.calls).toBe(0);
      expect(counts.buffers.calls).toBeLessThanOrEqual(1);
    } finally {
      for (const count of Object.values(counts)) count.restore();
      await engine.dispose();
    }
  },
);
