import { normalArray, type Random } from "../../../src/numeric/random.ts";
import { type GgufKeys, g } from "../gguf-writer.ts";
import type { TinyArchitecture, TinySettings } from "./settings.ts";

/** Every scale unlike what is usual without it. */
const SCALES: GgufKeys = {
  embedding_scale: g.f32(2),
  residual_scale: g.f32(0.5),
  "attention.scale": g.f32(0.2),
  logit_scale: g.f32(1.5),
};

/** Dense. */
export const granite: TinyArchitecture = {
  defaults: () => ({ experts: 0 }),
  keys: () => SCALES,
};

/** With a shared expert; no width of experts but the usual one, as in published files. */
export const granitemoe: TinyArchitecture = {
  keys: ({ ffn }) => ({ ...SCALES, expert_shared_feed_forward_length: g.u32(2 * ffn) }),
};

/** Mamba 2 in all layers but every third, and attention without positions. llama.cpp wants the inner width doubled. */
export const granitehybrid: TinyArchitecture = {
  defaults: () => ({ layers: 3 }),
  keys: (model) => ({
    ...SCALES,
    ...mambaKeys(model),
    expert_shared_feed_forward_length: g.u32(model.ffn),
    "attention.head_count_kv": kvHeads(model, (layer) => layer % 3 === 1),
    "rope.scaling.finetuned": g.bool(false),
  }),
  values: mambaValues,
};

/** KV heads in the layers that attend, and none in the others. */
export function kvHeads(
  { layers, kvHeads }: Pick<TinySettings, "layers" | "kvHeads">,
  attends: (layer: number) => boolean,
) {
  return g.i32s(Array.from({ length: layers }, (_, layer) => (attends(layer) ? kvHeads : 0)));
}

function mambaKeys({ hidden }: TinySettings): GgufKeys {
  return {
    "ssm.conv_kernel": g.u32(4),
    "ssm.inner_size": g.u32(2 * hidden),
    "ssm.state_size": g.u32(16),
    "ssm.time_step_rank": g.u32(hidden / 8),
    "ssm.group_count": g.u32(2),
  };
}

/** Heads that forget at once and heads that keep for long; llama.cpp has these tensors in F32. */
function mambaValues(part: string, shape: readonly number[], random: Random) {
  const values = (deviation: number) =>
    normalArray(
      random,
      shape.reduce((a, b) => a * b),
      deviation,
    );
  switch (part) {
    case "ssm_a":
      return values(1.5).map((value) => -Math.exp(value - 1));
    case "ssm_d":
    case "ssm_norm":
      return values(0.3).map((value) => 1 + value);
    case "ssm_conv1d":
      // The bias has the same name without its ending.
      return values(shape.length === 1 ? 0.3 : 0.7);
    default:
      return undefined;
  }
}
