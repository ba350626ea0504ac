import type { PacingRule } from "./pacing.ts";

/** No cuts: one submit and one readback a pass when nothing is absent. */
export const pass: PacingRule = { cuts: () => [] };

/** No cuts and four passes at once, whatever faults: what is behind a fault is submitted again. */
export const tokens: PacingRule = { cuts: () => [], tokensInFlight: () => 4 };

/** A cut at every MoE layer: no fault ever, and a readback for each layer. */
export const layer: PacingRule = {
  cuts: ({ faultProbability }) => everyNth(faultProbability.length, 1),
};

/** A cut at every other MoE layer. */
export const segments: PacingRule = {
  cuts: ({ faultProbability }) => everyNth(faultProbability.length, 2),
};

function everyNth(layers: number, step: number): number[] {
  return Array.from({ length: Math.ceil(layers / step) }, (_, index) => index * step);
}
