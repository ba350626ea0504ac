import { weightParts } from "../../formats/parts.ts";
import { expertDownColumns } from "../../kernels/expert_down_columns.ts";
import { groupTokens, MAX_GROUPED_SLOTS } from "../../kernels/group_tokens.ts";
import { groupedDown } from "../../kernels/grouped_down.ts";
import { groupedGateUp } from "../../kernels/grouped_gate_up.ts";
import { activationParts } from "../../kernels/parts.ts";
import type { ExpertArenas } from "../gpu-resources.ts";
import type { MoeSpec } from "../ops.ts";
import type { Scratch } from "../program.ts";
import { loaderOf, type ProductInput, unitsInput } from "./product-input.ts";
import { FEW_TOKENS, type Recording } from "./recording.ts";

/** The products of a layer's experts, and where they lie. */
export interface GroupedProducts {
  readonly spec: MoeSpec;
  readonly pool: ExpertArenas;
  /** `[max tokens, topK]` from number `slotsFirst` on. */
  readonly slots: GPUBuffer;
  readonly slotsFirst: number;
  /** `[tokens, hidden]` */
  readonly x: ProductInput;
  /** `[pairs, ffn]`: between both products. */
  readonly inner: Scratch;
  /** `[pairs, hidden]`: what each pair's expert gives. */
  readonly outer: Scratch;
}

/** Whether a pass of up to `maxTokens` tokens is computed expert by expert: tokens that share one, share its weights. */
export function isGrouped(maxTokens: number, pool: ExpertArenas): boolean {
  return maxTokens > FEW_TOKENS && pool.slots <= MAX_GROUPED_SLOTS;
}

/**
 * Records the lists of each expert's tokens, then the products over them. The lists are made of the slots that are there
 * when the steps run, so running all of them again computes what has arrived since. A down matrix that is stored by
 * columns is read pair by pair.
 */
export function recordGroupedProducts(recording: Recording, products: GroupedProducts): void {
  const { recorder, maxTokens, gpu } = recording;
  const { spec, pool, slots, slotsFirst, x, inner, outer } = products;
  const { hidden, ffn, topK } = spec;
  const pairCount = maxTokens * topK;
  const pairs = recorder.scratch(4 * pairCount);
  // What is planned before there are slots must have room for the tiles of any number of them.
  const tiles = recorder.scratch(16 * (1 + pairCount));
  recorder.dispatch(groupTokens, {
    params: { top_k: topK, routing_first: slotsFirst, slot_count: pool.slots },
    buffers: { slots, pairs, tiles },
    // One workgroup, as a router's.
    constants: { LANES: gpu.variant.router.constants.LANES! },
  });
  // What is not there is not read: any buffer does that is only read.
  const vectors = x.vectors.length > 0 ? gpu.vectors(...x.vectors) : x.scratch;
  const { reduce } = gpu.variant.experts;
  const constants = { ...gpu.variant.experts.constants, BIASED: pool.biases ? 1 : 0 };
  const arenas = pool.arenas.map((buffer, index) => ({
    buffer,
    params: {
      ffn,
      top_k: topK,
      slot_words: pool.slotWords,
      arena_first: index * pool.slotsPerArena,
      arena_slots: Math.min(pool.slotsPerArena, pool.slots - index * pool.slotsPerArena),
      slot_count: pool.slots,
    },
  }));
  for (const { buffer, params } of arenas) {
    recorder.dispatch(groupedGateUp, {
      params: {
        ...params,
        cols: hidden,
        gate_first: pool.gateFirst,
        up_first: pool.upFirst,
        gate_bias_first: pool.biases?.gateFirst ?? 0,
        up_bias_first: pool.biases?.upFirst ?? 0,
        epsilon: x.epsilon,
      },
      buffers: { x: x.scratch, vectors, pairs, tiles, y: inner },
      weights: buffer,
      parts: [
        ...loaderOf(x, pool.gateFormat, "load_gate"),
        ...loaderOf(x, pool.upFormat, "load_up"),
        ...x.parts,
        reduce,
        activationParts[spec.activation],
      ],
      constants,
    });
  }
  const units = pool.downByColumns
    ? undefined
    : unitsInput(recording, inner, { cols: topK * ffn }, pool.downFormat);
  for (const { buffer, params } of arenas) {
    const down = { ...params, hidden, down_first: pool.downFirst };
    if (!units) {
      recorder.dispatch(expertDownColumns, {
        params: { ...down, routing_first: slotsFirst },
        buffers: { x: inner, slots, y: outer },
        weights: buffer,
        parts: weightParts(pool.downFormat),
        constants: gpu.variant.columns.constants,
      });
    } else {
      recorder.dispatch(groupedDown, {
        params: { ...down, bias_first: pool.biases?.downFirst ?? 0 },
        buffers: { x: units.scratch, pairs, tiles, y: outer },
        weights: buffer,
        parts: [...loaderOf(units, pool.downFormat), ...units.parts, reduce],
        constants,
      });
    }
  }
  // Made anew in each round, when what rounds before it computed must still be there.
  recorder.keep(pairs);
  recorder.keep(tiles);
}
