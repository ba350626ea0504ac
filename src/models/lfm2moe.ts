import { moeLayers } from "./decoder.ts";
import { type DecoderConfig, readCount, unsupported } from "./decoder-config.ts";
import { lfm2Spec, readLfm2 } from "./lfm2.ts";
import type { Architecture, ModelFile } from "./model.ts";
import { readDenseLead } from "./moe-config.ts";

/**
 * LFM2 with experts in all layers but the first ones: sigmoid router with a bias for the choice alone, renormalised.
 * Source: llama.cpp `src/models/lfm2moe.cpp`.
 */
export const lfm2moe: Architecture = {
  read(file) {
    const config = readLfm2(file, "lfm2moe", { keys: ["leading_dense_block_count"] });
    checkGating(file, config);
    const lead = readDenseLead(file, config);
    const rule = {
      ffn: readCount(file.metadata, "lfm2moe.expert_feed_forward_length"),
      routerInput: "post-attention",
      score: "sigmoid",
      renormalise: true,
      activation: "silu",
    } as const;
    const layers = Array.from({ length: config.layers - lead }, (_, index) => lead + index);
    const moe = moeLayers(file, config, rule, layers).map((spec) => ({
      ...spec,
      selectionBias: `blk.${spec.layer}.exp_probs_b.bias`,
    }));
    return lfm2Spec(file, config, moe);
  },
};

/** Numbers are llama.cpp's `llama_expert_gating_func_type`. */
const SIGMOID = 2;

function checkGating({ metadata }: ModelFile, config: DecoderConfig): void {
  const gating = metadata.number("lfm2moe.expert_gating_func");
  if (gating === SIGMOID) return;
  throw unsupported(config, `has gating function ${gating} (lfm2moe.expert_gating_func)`);
}
