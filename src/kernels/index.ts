import { accept } from "./accept.ts";
import { add } from "./add.ts";
import { argmax } from "./argmax.ts";
import { argmaxRows } from "./argmax_rows.ts";
import { attention } from "./attention.ts";
import { attentionMerge } from "./attention_merge.ts";
import { causalConv } from "./causal_conv.ts";
import { combine } from "./combine.ts";
import { compressedAppend } from "./compressed_append.ts";
import { concat } from "./concat.ts";
import { copyWords } from "./copy_words.ts";
import { countLogits } from "./count_logits.ts";
import { embed } from "./embed.ts";
import { expertDown } from "./expert_down.ts";
import { expertDownColumns } from "./expert_down_columns.ts";
import { expertGateUp } from "./expert_gate_up.ts";
import { expertSum } from "./expert_sum.ts";
import { gateUp } from "./gate_up.ts";
import { gatedNorm } from "./gated_norm.ts";
import { gatedUnit } from "./gated_unit.ts";
import { groupTokens } from "./group_tokens.ts";
import { groupedDown } from "./grouped_down.ts";
import { groupedGateUp } from "./grouped_gate_up.ts";
import { hashRouter } from "./hash_router.ts";
import { headLinear } from "./head_linear.ts";
import { idle } from "./idle.ts";
import { joinedNorms } from "./joined_norms.ts";
import { lastToken } from "./last_token.ts";
import { latentAppend } from "./latent_append.ts";
import { layerNorm } from "./layer_norm.ts";
import { logprob } from "./logprob.ts";
import { matmul } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import { mergedHeadLinear } from "./merged_head_linear.ts";
import { multiplyAdd } from "./multiply_add.ts";
import { pickToken } from "./pick_token.ts";
import { quantise } from "./quantise.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rotateAppend } from "./rotate_append.ts";
import { router } from "./router.ts";
import { selfAttention } from "./self_attention.ts";
import { shapeLogits } from "./shape_logits.ts";
import { shift } from "./shift.ts";
import { softcap } from "./softcap.ts";
import { ssmScan } from "./ssm_scan.ts";
import { subgroupProbe } from "./subgroup_probe.ts";
import { sumWeights } from "./sum_weights.ts";

/** Every kernel. Tests compile each of them with every part that it takes. */
export const kernels = [
  accept,
  add,
  argmax,
  argmaxRows,
  attention,
  attentionMerge,
  causalConv,
  combine,
  compressedAppend,
  concat,
  countLogits,
  copyWords,
  embed,
  expertDown,
  expertDownColumns,
  expertGateUp,
  expertSum,
  gateUp,
  gatedNorm,
  gatedUnit,
  groupTokens,
  groupedDown,
  groupedGateUp,
  hashRouter,
  headLinear,
  idle,
  joinedNorms,
  lastToken,
  latentAppend,
  layerNorm,
  logprob,
  matmul,
  matvec,
  pickToken,
  mergedHeadLinear,
  multiplyAdd,
  quantise,
  rmsNorm,
  rotateAppend,
  router,
  selfAttention,
  shapeLogits,
  shift,
  softcap,
  ssmScan,
  subgroupProbe,
  sumWeights,
] as const;
