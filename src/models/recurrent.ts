import { SluiceError } from "../errors.ts";
import {
  type Mamba2Spec,
  mambaChannels,
  mambaInner,
  projectedWidth,
  type RecurrentSpec,
  type ShortConvSpec,
} from "../ops/recurrent.ts";
import { blockWeight, type DecoderConfig, readCount } from "./decoder-config.ts";
import type { ModelFile, TensorSpec } from "./model.ts";

/** A short convolution in every layer that has no KV heads. */
export function shortConvLayers(
  { metadata }: ModelFile,
  config: DecoderConfig,
): readonly ShortConvSpec[] {
  const { architecture, hidden, recurrentLayers } = config;
  return [...recurrentLayers].map((layer) => ({
    kind: "short-conv",
    layer,
    channels: hidden,
    taps: readCount(metadata, `${architecture}.shortconv.l_cache`),
    filter: blockWeight(layer, "shortconv.conv"),
  }));
}

/** Mamba 2 in every layer that has no KV heads. */
export function mamba2Layers(
  { metadata }: ModelFile,
  config: DecoderConfig,
): readonly Mamba2Spec[] {
  const { architecture, epsilon, recurrentLayers } = config;
  if (recurrentLayers.size === 0) return [];
  const count = (name: string) => readCount(metadata, `${architecture}.ssm.${name}`);
  const [inner, heads, groups] = [
    count("inner_size"),
    count("time_step_rank"),
    count("group_count"),
  ];
  if (inner % heads !== 0 || heads % groups !== 0) {
    throw new SluiceError(
      "bad-file",
      `${architecture}.ssm: ${inner} dimensions in ${heads} heads (time_step_rank) in ${groups} groups; wanted whole ` +
        "numbers of dimensions for each head and of heads for each group. Get the file again or use another.",
    );
  }
  return [...recurrentLayers].map((layer) => ({
    kind: "mamba2",
    layer,
    heads,
    headDim: inner / heads,
    groups,
    stateDim: count("state_size"),
    taps: count("conv_kernel"),
    filter: blockWeight(layer, "ssm_conv1d"),
    filterBias: `blk.${layer}.ssm_conv1d.bias`,
    timeBias: `blk.${layer}.ssm_dt.bias`,
    decay: `blk.${layer}.ssm_a`,
    skip: `blk.${layer}.ssm_d`,
    norm: blockWeight(layer, "ssm_norm"),
    epsilon,
  }));
}

/** The matrices before and after a recurrent layer's op. */
export function projections({ kind, layer }: RecurrentSpec): {
  readonly before: string;
  readonly after: string;
} {
  const [before, after] =
    kind === "mamba2" ? ["ssm_in", "ssm_out"] : ["shortconv.in_proj", "shortconv.out_proj"];
  return { before: blockWeight(layer, before!), after: blockWeight(layer, after!) };
}

/** The tensors of one recurrent layer, without those of its feed-forward network. */
export function recurrentTensors(spec: RecurrentSpec, hidden: number): TensorSpec[] {
  const { before, after } = projections(spec);
  const isMamba = spec.kind === "mamba2";
  const inner = isMamba ? mambaInner(spec) : spec.channels;
  const channels = isMamba ? mambaChannels(spec) : spec.channels;
  return [
    { name: blockWeight(spec.layer, "attn_norm"), shape: [hidden] },
    { name: before, shape: [projectedWidth(spec), hidden] },
    { name: spec.filter, shape: [channels, spec.taps], decoded: true },
    ...(isMamba ? mambaTensors(spec) : []),
    { name: after, shape: [hidden, inner] },
  ];
}

function mambaTensors(spec: Mamba2Spec): TensorSpec[] {
  const { heads, groups } = spec;
  return [
    { name: spec.filterBias, shape: [mambaChannels(spec)] },
    { name: spec.timeBias, shape: [heads] },
    { name: spec.decay, shape: [heads, 1], decoded: true },
    { name: spec.skip, shape: [heads, 1], decoded: true },
    { name: spec.norm, shape: [groups, mambaInner(spec) / groups], decoded: true },
  ];
}
