import { expect, test } from "vitest";
import { createEngine } from "../../../src/engine/engine.ts";
import { architectures } from "../../../src/models/registry.ts";
import { replyOf } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const LAYERS = 3;
const TOKENS = 6;
const PROMPT = { tokens: [5, 17, 99, 3] };

/** Dispatches of a pass that are of no layer: the embedding, the output matrix, a cap of logits, and the best token. */
const OUTSIDE = 4;
/** Most that any layer takes. */
const LAYER = 8;
/** Dispatches of a layer's experts. */
const MOE_LAYER = 3;
/** Most that a layer takes in the prompt's pass, whose products of several tokens are less fused. */
const PROMPT_LAYER = 18;

/** Counts calls of a WebGPU method until `restore`, and keeps what each was called with first. */
function countCalls<Target extends object>(target: Target, method: keyof Target) {
  const original = target[method] as (...args: unknown[]) => unknown;
  const firsts: unknown[] = [];
  target[method] = function (this: unknown, ...args: unknown[]) {
    firsts.push(args[0]);
    return original.apply(this, args);
  } as Target[keyof Target];
  return {
    firsts,
    get calls() {
      return firsts.length;
    },
    restore() {
      target[method] = original as Target[keyof Target];
    },
  };
}

test.for(Object.keys(architectures) as (keyof typeof architectures)[])(
  "a decoded token of %s takes one submit, one readback, no write, and at most 8 dispatches a layer",
  async (architecture) => {
    const engine = createEngine({ gpu: navigator.gpu });
    // A third of a latent head's dimensions is rotated besides.
    const headDim = architecture === "deepseek2" ? 48 : 32;
    const sizes = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim, layers: LAYERS };
    await engine.load(
      tinyModel({ ...sizes, architecture, format: "q4_0", seed: 2 }).buffer,
      { fill: "wait", pacing: "tokens" },
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
      pipelines: countCalls(GPUComputePassEncoder.prototype, "setPipeline"),
      groups: countCalls(GPUComputePassEncoder.prototype, "setBindGroup"),
    };
    const firefoxNudges = navigator.userAgent.includes("Firefox");
    try {
      const { stats } = await replyOf(engine, PROMPT, { maxTokens: TOKENS });

      expect(stats.faults).toBe(0);
      // One pass for the prompt, one for each token after the first.
      const labels = counts.pipelines.firsts.map(
        (pipeline) => (pipeline as GPUComputePipeline).label,
      );
      // GPUs, whose variants split the keys of a long conversation, merge them in one more.
      const layer = labels.includes("attention_merge") ? LAYER + 1 : LAYER;
      const perToken = layer * LAYERS + OUTSIDE;
      expect(stats.dispatchesPerLayer).toBeLessThanOrEqual(layer);
      expect(stats.dispatchesPerToken).toBeLessThanOrEqual(perToken);
      const ofPrompt = PROMPT_LAYER * LAYERS + OUTSIDE + 1;
      expect(counts.dispatches.calls).toBeLessThanOrEqual((TOKENS - 1) * perToken + ofPrompt);
      expect(counts.dispatches.calls).toBeGreaterThan(TOKENS * stats.dispatchesPerToken - 1);
      // Those of the last token alone: router, gated units, and their sum with the residual.
      const ofExperts = labels
        .slice(-stats.dispatchesPerToken)
        .filter((label) => /router|expert|combine/.test(label));
      expect(ofExperts.length).toBeLessThanOrEqual(MOE_LAYER * LAYERS);
      expect(ofExperts.length > 0).toBe(stats.expertHits > 0);
      expect(stats.readbacksPerToken).toBe(1);
      expect(counts.readbacks.calls).toBe(TOKENS);
      expect(stats.submitsPerToken).toBe(1);
      // Firefox is nudged out of its polling with empty submits.
      if (!firefoxNudges) expect(counts.submits.calls).toBe(TOKENS);
      // How tokens are chosen, and the prompt: what a token computes is on the GPU already.
      expect(counts.writes.calls).toBe(2);
      expect(stats.tokensInFlight).toBeGreaterThan(1);
      expect(counts.bindGroups.calls).toBe(0);
      // The control block stays where it is between a router, which writes it, and the next one.
      const ofControl = counts.groups.firsts.filter((index) => index === 2);
      expect(ofControl.length).toBeLessThan(counts.dispatches.calls / 2);
      expect(counts.buffers.calls).toBeLessThanOrEqual(1);
    } finally {
      for (const count of Object.values(counts)) count.restore();
      await engine.dispose();
    }
  },
);
