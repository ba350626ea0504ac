import type { MoeSpec, ScoreName } from "../ops/ops.ts";
import { decoderSpec, denseBlock, finish, moeBlock, moeLayers } from "./decoder.ts";
import { type DecoderConfig, readCount, readDecoder, unsupported } from "./decoder-config.ts";
import { latentBlock, latentLayers, latentTensors, readLatent } from "./latent-attention.ts";
import type { Architecture, ModelFile } from "./model.ts";
import {
  readDenseLead,
  readGroups,
  readScore,
  selectionBias,
  withDenseOthers,
  withoutPrediction,
} from "./moe-config.ts";

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
    const moe = expertLayers(file, config);
    const shared = moe.length > 0 ? readSharedWidth(file, moe[0]!.ffn) : 0;
    const layers = withDenseOthers(file, config, { attention, moe, shared });
    const experts = new Map(moe.map((spec) => [spec.layer, spec]));
    const resident = attention.flatMap(({ layer }) => latentTensors(config, latent, layer));
    return decoderSpec(
      config,
      layers,
      (ops) => {
        let x = ops.embed("token_embd.weight"); // [tokens, hidden]
        for (const spec of attention) {
          x = latentBlock(ops, x, spec, latent, config.epsilon);
          const own = experts.get(spec.layer);
          x = own
            ? moeBlock(ops, x, own, config.epsilon, { shared: shared > 0 ? "plain" : "none" })
            : denseBlock(ops, x, spec.layer, config.epsilon);
        }
        finish(ops, x, config);
      },
      { attention: [], resident },
    );
  },
};

/** The decoder without the layers at its end that predict further tokens. */
function readLayers(file: ModelFile): DecoderConfig {
  const config = readDecoder(file, "deepseek2", "interleaved", { keys: COMPUTED });
  const { rope } = config;
  if (rope.scale !== undefined && !rope.yarn) {
    throw unsupported(config, "has linear rope scaling (deepseek2.rope.scaling.type)");
  }
  const temperature = file.metadata.optionalNumber("deepseek2.attention.temperature_scale") ?? 0;
  if (temperature !== 0) {
    throw unsupported(
      config,
      `scales its queries by position (deepseek2.attention.temperature_scale is ${temperature})`,
    );
  }
  return withoutPrediction(file, config);
}

/** The layers with experts: all but the first, dense ones. */
function expertLayers(file: ModelFile, config: DecoderConfig): readonly MoeSpec[] {
  const { metadata } = file;
  const lead = readDenseLead(file, config);
  const layers = Array.from({ length: config.layers }, (_, layer) => layer).slice(lead);
  if (layers.length === 0) return [];
  const rule = {
    ffn: readCount(metadata, "deepseek2.expert_feed_forward_length"),
    routerInput: "post-attention",
    score: readScore(file, config, usualScore(config)),
    renormalise: metadata.optionalBoolean("deepseek2.expert_weights_norm") ?? false,
    activation: "silu",
  } as const;
  return moeLayers(file, config, rule, layers).map((spec) => ({
    ...spec,
    ...readGroups(file, config, spec),
    ...selectionBias(file, spec.layer),
  }));
}

/** GLM-4.7-Flash's first conversions have no key for its sigmoid; by these two numbers llama.cpp knows it. */
const GLM_FLASH = { layers: 47, vocab: 154_880 } as const;

function usualScore({ layers, vocab }: DecoderConfig): ScoreName {
  return layers === GLM_FLASH.layers && vocab === GLM_FLASH.vocab ? "sigmoid" : "softmax";
}

/** Shared experts are one network, as wide as all of them; 0 when there are none. */
function readSharedWidth({ metadata }: ModelFile, ffn: number): number {
  const key = "deepseek2.expert_shared_count";
  return (metadata.optionalNumber(key) ?? 0) === 0 ? 0 : ffn * readCount(metadata, key);
}
