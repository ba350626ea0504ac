import { ABSENT } from "../../experts/page-table.ts";
import { createRandom } from "../../numeric/random.ts";
import type { MoeSpec } from "../../ops/ops.ts";
import type { Program } from "../../ops/program.ts";
import type { Executor } from "../executor.ts";
import type { Arenas } from "../expert-arenas.ts";

/** What is uploaded to be multiplied, in all: more than most GPUs' caches hold, and a fraction of a second. */
const NOISE_BYTES = 64e6;

/** Upper bytes of a number, which as those of f16, bf16 and f32 make it small and normal, of either sign. */
const UPPER_BYTES = [0x2c, 0x2d, 0xac, 0xad] as const;

/**
 * Fills slots with numbers in no order, so that neurons are active as often as not: kernels skip what is 0. Every pool
 * gets as many slots as a token has experts, or fewer where that is too much to upload.
 * @returns the filled slots of each pool
 */
export function fillSlots(
  arenas: Arenas,
  moe: readonly MoeSpec[],
  recordBytes: readonly number[],
): readonly number[] {
  const filled = recordBytes.map(() => 0);
  const topK = Math.max(0, ...moe.map((spec) => spec.topK));
  const noise = makeNoise(Math.max(0, ...recordBytes));
  let left = NOISE_BYTES;
  for (let slot = 0; slot < topK; slot++) {
    for (const [pool, bytes] of recordBytes.entries()) {
      if (slot >= arenas.of(pool).slots || bytes > left) continue;
      arenas.upload(pool, slot, noise.subarray(0, bytes));
      filled[pool] = slot + 1;
      left -= bytes;
    }
  }
  return filled;
}

/** Lets each pair of a program have a filled slot of its pool; the layers of a pool that has none are left out. */
export function pointAtSlots(
  executor: Executor,
  program: Program,
  filled: readonly number[],
): void {
  for (const [index, { pool, topK }] of executor.parts.moe.entries()) {
    const slots = Uint32Array.from({ length: program.maxTokens * topK }, (_, pair) =>
      filled[pool] ? pair % filled[pool] : ABSENT,
    );
    executor.writeSlots(program, index, slots);
  }
}

function makeNoise(bytes: number): Uint8Array<ArrayBuffer> {
  const random = createRandom(1);
  return Uint8Array.from({ length: bytes }, (_, index) =>
    index % 2 === 0 ? random.integer(256) : UPPER_BYTES[random.integer(UPPER_BYTES.length)]!,
  );
}
