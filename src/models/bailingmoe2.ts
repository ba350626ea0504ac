import { readAhead } from "./ahead.ts";
import { attentionLayers, moeLayers, plainDecoder, queryKeyNorm } from "./decoder.ts";
import { type DecoderConfig, readCount, readDecoder } from "./decoder-config.ts";
import type { Architecture, ModelFile } from "./model.ts";
import {
  readDenseLead,
  readGroups,
  readScore,
  selectionBias,
  withDenseOthers,
  withoutPrediction,
} from "./moe-config.ts";

/**
 * Ling 2 (Ling-mini-2.0): norms of queries and keys over each head, of which half the dimensions are rotated; dense
 * layers first, then experts that are chosen within groups by biased scores, with shared ones beside them. Of the blocks
 * that predict further tokens the first is read. Source: llama.cpp `src/models/bailingmoe2.cpp`.
 */
export const bailingmoe2: Architecture = {
  read(file) {
    const keys = [
      "expert_group_count",
      "expert_shared_count",
      "leading_dense_block_count",
      "nextn_predict_layers",
    ];
    const config = withoutPrediction(
      file,
      readDecoder(file, "bailingmoe2", "half-split", { keys }),
    );
    const lead = readDenseLead(file, config);
    // The layer behind the model's last is that of the block ahead: made alike, and then taken apart.
    const all = { ...config, layers: config.layers + 1 };
    const attention = attentionLayers(all, (layer) => queryKeyNorm(config, layer, "head"));
    const ffn = readCount(file.metadata, "bailingmoe2.expert_feed_forward_length");
    const rule = {
      ffn,
      routerInput: "post-attention",
      score: readScore(file, config, "softmax"),
      renormalise: file.metadata.optionalBoolean("bailingmoe2.expert_weights_norm") ?? false,
      activation: "silu",
    } as const;
    const layers = attention.map(({ layer }) => layer).filter((layer) => layer >= lead);
    const moe = moeLayers(file, config, rule, layers).map((spec) => ({
      ...spec,
      ...readGroups(file, config, spec),
      ...selectionBias(file, spec.layer),
    }));
    const shared = sharedWidth(file, config, ffn);
    const own = <Spec extends { readonly layer: number }>(specs: readonly Spec[]) =>
      specs.filter(({ layer }) => layer < config.layers);
    const decoder = withDenseOthers(file, config, {
      attention: own(attention),
      moe: own(moe),
      shared,
    });
    const ahead = readAhead(file, config, {
      attention: attention.slice(-1),
      moe: moe.slice(-1),
      shared: new Map(shared > 0 ? [[config.layers, shared]] : []),
    });
    return { ...plainDecoder(config, decoder), ...(ahead && { ahead }) };
  },
};

/** Of all shared experts, which are one network. The key has the width of one, as llama.cpp reads it. */
function sharedWidth(
  { metadata }: ModelFile,
  { architecture }: DecoderConfig,
  ffn: number,
): number {
  const count = metadata.number(`${architecture}.expert_shared_count`);
  const width = metadata.optionalNumber(`${architecture}.expert_shared_feed_forward_length`);
  return count * (width || ffn);
}
