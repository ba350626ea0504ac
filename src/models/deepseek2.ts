import { SluiceError } from "../errors.ts";
import type { Activation, MoeSpec, Ops, Routing, ScoreName } from "../ops/ops.ts";
import { decoderSpec, denseBlock, feedForward, finish, moeLayers } from "./decoder.ts";
import {
  blockWeight,
  type DecoderConfig,
  readCount,
  readDecoder,
  unsupported,
} from "./decoder-config.ts";
import { latentBlock, latentLayers, latentTensors, readLatent } from "./latent-attention.ts";
import type { Architecture, ModelFile, ModelMetadata, TensorSpec } from "./model.ts";

/** Keys of {@link readDecoder} that this architecture computes. */
const COMPUTED = [
  "attention.value_length",
  "expert_group_count",
  "expert_shared_count",
  "leading_dense_block_count",
  "nextn_predict_layers",
];

/**
 * DeepSeek-V2 and what is built like it: GLM-4.7-Flash, Moonlight, Kimi-VL. Multi-head latent attention; some dense
 * layers, then experts with shared ones beside them. Layers that predict further tokens are left out.
 * Source: llama.cpp `src/models/deepseek2.cpp`.
 */
export const deepseek2: Architecture = {
  read(file) {
    const config = readLayers(file);
    const latent = readLatent(file, config);
    const attention = latentLayers(file, config, latent);
    const leading = countOrNone(file.metadata, "deepseek2.leading_dense_block_count");
    const denseLayers = Math.min(config.layers, leading);
    const moe = denseLayers < config.layers ? expertLayers(file, config, denseLayers) : [];
    const sharedWidth = moe.length > 0 ? readSharedWidth(file, moe[0]!.ffn) : 0;
    const ffn = denseLayers > 0 ? readCount(file.metadata, "deepseek2.feed_forward_length") : 0;
    const dense = new Map(attention.slice(0, denseLayers).map(({ layer }) => [layer, ffn]));
    const resident = [
      ...attention.flatMap(({ layer }) => latentTensors(config, latent, layer)),
      ...moe.flatMap(({ layer }) => sharedTensors(config, layer, sharedWidth)),
    ];
    return decoderSpec(
      config,
      { attention, moe, dense },
      (ops) => {
        let x = ops.embed("token_embd.weight"); // [tokens, hidden]
        for (const [layer, spec] of attention.entries()) {
          x = latentBlock(ops, x, spec, latent, config.epsilon);
          const experts = moe[layer - denseLayers];
          x = experts
            ? sharedMoeBlock(ops, x, experts, config.epsilon, sharedWidth > 0)
            : denseBlock(ops, x, layer, config.epsilon);
        }
        finish(ops, x, config);
      },
      { attention: [], resident },
    );
  },
};

/** The decoder without the layers at its end that predict further tokens. */
function readLayers(file: ModelFile): DecoderConfig {
  const { metadata } = file;
  const config = readDecoder(file, "deepseek2", "interleaved", { keys: COMPUTED });
  const { rope } = config;
  if (rope.scale !== undefined && !rope.yarn) {
    throw unsupported(config, "has linear rope scaling (deepseek2.rope.scaling.type)");
  }
  const temperature = metadata.optionalNumber("deepseek2.attention.temperature_scale") ?? 0;
  if (temperature !== 0) {
    throw unsupported(
      config,
      `scales its queries by position (deepseek2.attention.temperature_scale is ${temperature})`,
    );
  }
  const predicting = countOrNone(metadata, "deepseek2.nextn_predict_layers", config.layers - 1);
  return { ...config, layers: config.layers - predicting };
}

/** The layers with experts: all from `first` on. */
function expertLayers(file: ModelFile, config: DecoderConfig, first: number): readonly MoeSpec[] {
  const { metadata } = file;
  const groups = readGroups(file, readCount(metadata, "deepseek2.expert_count"));
  const specs = moeLayers(file, config, {
    ffn: readCount(metadata, "deepseek2.expert_feed_forward_length"),
    routerInput: "post-attention",
    score: scoreName(file, config),
    renormalise: metadata.optionalBoolean("deepseek2.expert_weights_norm") ?? false,
    activation: "silu",
  });
  return specs.slice(first).map((spec, pool) => {
    const bias = `blk.${spec.layer}.exp_probs_b.bias`;
    return { ...spec, pool, ...groups, ...(file.shape(bias) && { selectionBias: bias }) };
  });
}

/** One group is none. Throws "bad-file" for groups that cannot be. */
function readGroups({ metadata }: ModelFile, experts: number): Pick<MoeSpec, "groups"> {
  const key = "deepseek2.expert_group_count";
  if ((metadata.optionalNumber(key) ?? 1) <= 1) return {};
  const count = readCount(metadata, key, experts);
  const keep = readCount(metadata, "deepseek2.expert_group_used_count", count);
  if (experts % count === 0) return { groups: { count, keep } };
  throw new SluiceError(
    "bad-file",
    `${key} is ${count}; ${experts} experts are not so many groups.`,
  );
}

/** GLM-4.7-Flash's first conversions have no key for its sigmoid; by these two numbers llama.cpp knows it. */
const GLM_FLASH = { layers: 47, vocab: 154_880 } as const;

/** Numbers are llama.cpp's `llama_expert_gating_func_type`; 0 or no key stand for softmax. */
function scoreName({ metadata }: ModelFile, config: DecoderConfig): ScoreName {
  const gating = metadata.optionalNumber("deepseek2.expert_gating_func") ?? 0;
  if (gating === 1) return "softmax";
  if (gating === 2) return "sigmoid";
  if (gating !== 0) {
    throw unsupported(config, `has gating function ${gating} (deepseek2.expert_gating_func)`);
  }
  const isGlmFlash = config.layers === GLM_FLASH.layers && config.vocab === GLM_FLASH.vocab;
  return isGlmFlash ? "sigmoid" : "softmax";
}

/** Shared experts are one network, as wide as all of them; 0 when there are none. */
function readSharedWidth({ metadata }: ModelFile, ffn: number): number {
  return ffn * countOrNone(metadata, "deepseek2.expert_shared_count");
}

/** A whole number that may be 0, which a missing key means. Throws "bad-file". */
function countOrNone(metadata: ModelMetadata, key: string, most?: number): number {
  return (metadata.optionalNumber(key) ?? 0) === 0 ? 0 : readCount(metadata, key, most);
}

function sharedTensors({ hidden }: DecoderConfig, layer: number, width: number): TensorSpec[] {
  if (width === 0) return [];
  return [
    { name: blockWeight(layer, "ffn_gate_shexp"), shape: [width, hidden] },
    { name: blockWeight(layer, "ffn_up_shexp"), shape: [width, hidden] },
    { name: blockWeight(layer, "ffn_down_shexp"), shape: [hidden, width] },
  ];
}

/**
 * `x + shared(norm(x)) + moe(norm(x))`. The shared experts come between the router and the others, which may be on
 * their way meanwhile. x `[tokens, hidden]` -> `[tokens, hidden]`
 */
function sharedMoeBlock<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  x: Tensor,
  spec: MoeSpec,
  epsilon: number,
  isShared: boolean,
): Tensor {
  const named = (part: string) => blockWeight(spec.layer, part);
  const normed = ops.rmsNorm(x, named("ffn_norm"), epsilon);
  const choice = ops.route(normed, spec);
  if (!isShared) return ops.experts(normed, choice, spec, { residual: x });
  const residual = feedForward(ops, normed, (part) => named(`${part}_shexp`), { residual: x });
  return ops.experts(normed, choice, spec, { residual });
}
