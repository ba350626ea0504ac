import type { Activation, AttentionSpec, Ops, Routing } from "../ops/ops.ts";
import type { RecurrentSpec } from "../ops/recurrent.ts";
import { attentionBlock, type BlockOptions } from "./decoder.ts";
import { blockWeight } from "./decoder-config.ts";
import type { DecoderLayers } from "./decoder-tensors.ts";
import { projections } from "./recurrent.ts";

/** What mixes tokens in a layer. */
export type MixerSpec = AttentionSpec | RecurrentSpec;

/** Attention and recurrent layers in the order of the model. */
export function mixersOf({
  attention,
  recurrent = [],
}: Pick<DecoderLayers, "attention" | "recurrent">): readonly MixerSpec[] {
  return [...attention, ...recurrent].sort((a, b) => a.layer - b.layer);
}

/** `x + scale * mixer(norm(x))`. x `[tokens, hidden]` -> `[tokens, hidden]` */
export function mixerBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: MixerSpec,
  epsilon: number,
  options: Pick<BlockOptions, "scale"> = {},
): Tensor {
  return "kind" in spec
    ? recurrentBlock(ops, x, spec, epsilon, options)
    : attentionBlock(ops, x, spec, epsilon, options);
}

function recurrentBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: RecurrentSpec,
  epsilon: number,
  { scale = 1 }: Pick<BlockOptions, "scale">,
): Tensor {
  const { before, after } = projections(spec);
  const normed = ops.rmsNorm(x, blockWeight(spec.layer, "attn_norm"), epsilon);
  const projected = ops.linear(normed, before); // [tokens, projectedWidth]
  const mixed =
    spec.kind === "mamba2" ? ops.mamba2(projected, spec) : ops.shortConv(projected, spec);
  return ops.linear(mixed, after, { residual: x, scale });
}
