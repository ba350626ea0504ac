import type { MeasuredCosts } from "../../rpc/api.ts";
import type { PoolLayout } from "../pool-layout.ts";
import { type OnnxPassParts, runOnnxPass } from "./onnx-pass.ts";

/** Rounds of each measurement, of which the fastest counts: what else the machine does only adds. */
const ROUNDS = 3;

/**
 * Times a pass of one token without its experts, the experts of a layer, and what a record takes from RAM to its slot. To
 * be called before the first pass of a conversation: it writes the first slot of a pool and position 0 of the caches.
 */
export async function calibrateOnnx(
  parts: OnnxPassParts,
  pools: readonly PoolLayout[],
): Promise<MeasuredCosts> {
  const { spec, slots, computer, forms } = parts;
  const withoutExperts = () =>
    runOnnxPass(parts, [0], 0, { logits: false, ahead: false, withoutExperts: true });
  const passMs = await fastest(withoutExperts);
  const [moe] = spec.moe;
  if (!moe) return { ...NOTHING, passMs };
  const { pool, topK, hidden } = moe;
  const { recordBytes } = pools[pool]!;
  const record = new Uint8Array(recordBytes);
  const uploadMs = await fastest(async () => slots.upload(pool, 0, record));
  const x = new Float32Array(hidden);
  // One expert, as often as a token has experts.
  const slot = slots.memoryOf(pool, 0);
  const expertMs = await fastest(async () => {
    const job = { form: forms[0]!, topK, x, pairs: new Map([[slot, [0]]]) };
    for (let k = 0; k < topK; k++) await computer.compute(job, async () => {});
  });
  return {
    ...NOTHING,
    layerMs: passMs / spec.layers + expertMs,
    expertMs,
    uploadMsPerByte: uploadMs / recordBytes,
  };
}

/** A step that is not needed is not taken, and nothing has to be read back. */
const NOTHING: MeasuredCosts = {
  layerMs: 0,
  expertMs: 0,
  skippedLayerMs: 0,
  passMs: 0,
  readbackMs: 0,
  overlapMs: 0,
  uploadMs: 0,
  uploadMsPerByte: 0,
  ramMsPerByte: 0,
};

async function fastest(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    await work();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}
