import type { MoeSpec } from "../ops/ops.ts";
import {
  attentionLayers,
  decoderSpec,
  denseBlock,
  finish,
  moeBlock,
  queryKeyNorm,
} from "./decoder.ts";
import {
  type DecoderAbilities,
  type DecoderConfig,
  readCount,
  readDecoder,
  unsupported,
} from "./decoder-config.ts";
import { mixerBlock, mixersOf } from "./mixers.ts";
import type { Architecture, ModelFile, ModelSpec } from "./model.ts";
import { shortConvLayers } from "./recurrent.ts";

/**
 * LFM2: gated short convolutions, and attention in a few layers, whose queries and keys are normalised over each head;
 * dense. The norm before the logits is called the embedding's. Source: llama.cpp `src/models/lfm2.cpp`.
 */
export const lfm2: Architecture = {
  read: (file) => lfm2Spec(file, readLfm2(file, "lfm2"), []),
};

/** What files of LFM2 and its MoE say alike. */
export function readLfm2(
  file: ModelFile,
  architecture: string,
  abilities: DecoderAbilities = {},
): DecoderConfig {
  const config = readDecoder(file, architecture, "half-split", { ...abilities, recurrent: true });
  const key = (name: string) => `${architecture}.${name}`;
  if (file.metadata.optionalNumber(key("attention.sliding_window"))) {
    throw unsupported(config, `has sliding windows (${key("attention.sliding_window")})`);
  }
  if (file.metadata.optionalBoolean(key("attention.causal")) === false) {
    throw unsupported(config, `sees tokens ahead (${key("attention.causal")} is false)`);
  }
  return { ...config, finalNorm: "token_embd_norm.weight" };
}

/** The model whose last layers have the experts `moe`; those before are dense. */
export function lfm2Spec(
  file: ModelFile,
  config: DecoderConfig,
  moe: readonly MoeSpec[],
): ModelSpec {
  const { architecture, epsilon } = config;
  const attention = attentionLayers(config, (layer) => queryKeyNorm(config, layer, "head"));
  const recurrent = shortConvLayers(file, config);
  const experts = new Map(moe.map((spec) => [spec.layer, spec]));
  const ffn = readCount(file.metadata, `${architecture}.feed_forward_length`);
  const mixers = mixersOf({ attention, recurrent });
  const dense = new Map(
    mixers.filter(({ layer }) => !experts.has(layer)).map(({ layer }) => [layer, ffn]),
  );
  return decoderSpec(config, { attention, recurrent, moe, dense }, (ops) => {
    let x = ops.embed("token_embd.weight"); // [tokens, hidden]
    for (const mixer of mixers) {
      x = mixerBlock(ops, x, mixer, epsilon);
      const spec = experts.get(mixer.layer);
      x = spec ? moeBlock(ops, x, spec, epsilon) : denseBlock(ops, x, mixer.layer, epsilon);
    }
    finish(ops, x, config);
  });
}
