import type { PacingContext } from "./pacing.ts";

/** Most tokens in flight: what a host that stops a reply has computed in vain, and as many staging buffers. */
export const MOST_IN_FLIGHT = 8;

/** How much longer than its median a turnaround may take before the GPU runs dry: a pause of the host, a busy browser. */
const SLACK = 2;

/**
 * How many tokens in flight give the least expected time a token. With `n` of them the GPU has work while up to `n - 1`
 * passes are read and followed up:
 *
 *     time(n) = max(pass, (pass + SLACK * turnaround) / n) + P * (n - 1) * skippedPass
 *
 * where `P` is the probability that any layer of a pass faults: then the passes behind it have to be skipped before it is
 * taken up. What a fault costs whatever `n` is drops out. Of equal times the one with fewer tokens wins.
 */
export function tokensInFlight({ faultProbability, costs }: PacingContext): number {
  const layers = Math.max(1, faultProbability.length);
  const pass = layers * costs.layer;
  const skippedPass = layers * costs.skipped;
  let faultless = 1;
  for (let moe = 0; moe < faultProbability.length; moe++) faultless *= 1 - faultProbability[moe]!;
  let best = { tokens: 1, time: Infinity };
  for (let tokens = 1; tokens <= MOST_IN_FLIGHT; tokens++) {
    const busy = Math.max(pass, (pass + SLACK * costs.turnaround) / tokens);
    const time = busy + (1 - faultless) * (tokens - 1) * skippedPass;
    if (time < best.time) best = { tokens, time };
  }
  return best.tokens;
}
