import type { AttentionSpec, MoeSpec } from "../ops/ops.ts";
import {
  attentionLayers,
  decoderSpec,
  denseBlock,
  finish,
  moeBlock,
  moeLayers,
} from "./decoder.ts";
import { type DecoderConfig, readCount, readDecoder } from "./decoder-config.ts";
import { mixerBlock, mixersOf } from "./mixers.ts";
import type { Architecture, ModelFile } from "./model.ts";
import { mamba2Layers } from "./recurrent.ts";
import { withRopeFactors } from "./rope-config.ts";

/** Granite, dense. Source: llama.cpp `src/models/granite.cpp`. */
export const granite = graniteOf("granite");

/** Granite with experts in every layer, and in some models a shared one. Source: llama.cpp `src/models/granite.cpp`. */
export const granitemoe = graniteOf("granitemoe");

/**
 * Granite 4's hybrids: Mamba 2 in most layers, attention without positions in the others; dense, or with experts as
 * `granitemoe`. Source: llama.cpp `src/models/granite-hybrid.cpp` and `src/models/mamba-base.cpp`.
 */
export const granitehybrid = graniteOf("granitehybrid");

/**
 * What Granites have in common: scales of the embedding, of each block's output, of attention and of the logits; a key
 * that switches rotary embedding off; softmax routers, renormalised.
 */
function graniteOf(architecture: string): Architecture {
  return {
    read(file) {
      const recurrentLayers = architecture === "granitehybrid";
      const config = readDecoder(file, architecture, "interleaved", { recurrent: recurrentLayers });
      const scales = readScales(file, config);
      const { residual: scale } = scales;
      const attention = graniteAttention(file, config, scales.attention);
      const recurrent = mamba2Layers(file, config);
      const moe = graniteExperts(file, config, scale);
      const widths = readWidths(file, config, moe.length > 0);
      const mixers = mixersOf({ attention, recurrent });
      const blocks = { attention, recurrent, moe, ...widths };
      return decoderSpec(config, blocks, (ops) => {
        let x = ops.embed("token_embd.weight", { scale: scales.embedding }); // [tokens, hidden]
        for (const mixer of mixers) {
          const { layer } = mixer;
          x = mixerBlock(ops, x, mixer, config.epsilon, { scale });
          const experts = moe[layer];
          x = experts
            ? moeBlock(ops, x, experts, config.epsilon, {
                shared: widths.shared.has(layer) ? "plain" : "none",
                scale,
              })
            : denseBlock(ops, x, layer, config.epsilon, { scale });
        }
        finish(ops, x, config, { scale: 1 / scales.logits });
      });
    },
  };
}

/** The scales of a file; 0, as no key, stands for the usual one. */
function readScales({ metadata }: ModelFile, { architecture, headDim }: DecoderConfig) {
  const read = (name: string) => metadata.optionalNumber(`${architecture}.${name}`) || undefined;
  return {
    embedding: read("embedding_scale") ?? 1,
    residual: read("residual_scale") ?? 1,
    attention: read("attention.scale") ?? 1 / Math.sqrt(headDim),
    /** Divides. */
    logits: read("logit_scale") ?? 1,
  };
}

/** llama.cpp uses the key for finetuned scaling as the switch of rotary embedding. */
function graniteAttention(
  file: ModelFile,
  config: DecoderConfig,
  scale: number,
): readonly AttentionSpec[] {
  const { architecture } = config;
  const rope = withRopeFactors(file, architecture, config.rope);
  const specs = attentionLayers(config, () => ({ scale, rope }));
  const isRotated = file.metadata.optionalBoolean(`${architecture}.rope.scaling.finetuned`);
  return isRotated === false ? specs.map(({ rope: _, ...unrotated }) => unrotated) : specs;
}

/** Experts in every layer, or none. The scale of their weights includes that of the block's output. */
function graniteExperts(file: ModelFile, config: DecoderConfig, scale: number): readonly MoeSpec[] {
  const key = (name: string) => `${config.architecture}.${name}`;
  if ((file.metadata.optionalNumber(key("expert_count")) ?? 0) === 0) return [];
  const specs = moeLayers(file, config, {
    ffn: readCount(file.metadata, key("feed_forward_length")),
    routerInput: "post-attention",
    score: "softmax",
    renormalise: true,
    activation: "silu",
  });
  return specs.map((spec) => ({ ...spec, scale: scale * spec.scale }));
}

/** Widths of the networks that every token goes through. Dense models have a key for shared experts, too. */
function readWidths(
  { metadata }: ModelFile,
  { architecture, layers }: DecoderConfig,
  hasExperts: boolean,
): Record<"dense" | "shared", ReadonlyMap<number, number>> {
  const everywhere = (width: number) =>
    new Map(width > 0 ? Array.from({ length: layers }, (_, layer) => [layer, width]) : []);
  const shared = `${architecture}.expert_shared_feed_forward_length`;
  const dense = `${architecture}.feed_forward_length`;
  return hasExperts
    ? { dense: new Map(), shared: everywhere(metadata.optionalNumber(shared) ?? 0) }
    : { dense: everywhere(readCount(metadata, dense)), shared: new Map() };
}
