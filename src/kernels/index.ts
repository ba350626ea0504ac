import { add } from "./add.ts";
import { argmax } from "./argmax.ts";
import { attention } from "./attention.ts";
import { causalConv } from "./causal_conv.ts";
import { combine } from "./combine.ts";
import { copyWords } from "./copy_words.ts";
import { embed } from "./embed.ts";
import { expertDown } from "./expert_down.ts";
import { expertDownColumns } from "./expert_down_columns.ts";
import { expertGateUp } from "./expert_gate_up.ts";
import { gatedNorm } from "./gated_norm.ts";
import { gatedUnit } from "./gated_unit.ts";
import { hashRouter } from "./hash_router.ts";
import { headLinear } from "./head_linear.ts";
import { headLinearTransposed } from "./head_linear_transposed.ts";
import { idle } from "./idle.ts";
import { lastToken } from "./last_token.ts";
import { latentAppend } from "./latent_append.ts";
import { layerNorm } from "./layer_norm.ts";
import { logprob } from "./logprob.ts";
import { matmul } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import { multiplyAdd } from "./multiply_add.ts";
import { packCache } from "./pack_cache.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rotateAppend } from "./rotate_append.ts";
import { router } from "./router.ts";
import { softcap } from "./softcap.ts";
import { ssmScan } from "./ssm_scan.ts";

/** Every kernel. Tests compile each of them with every part that it takes. */
export const kernels = [
  add,
  argmax,
  attention,
  causalConv,
  combine,
  copyWords,
  embed,
  expertDown,
  expertDownColumns,
  expertGateUp,
  gatedNorm,
  gatedUnit,
  hashRouter,
  headLinear,
  headLinearTransposed,
  idle,
  lastToken,
  latentAppend,
  layerNorm,
  logprob,
  matmul,
  matvec,
  multiplyAdd,
  packCache,
  rmsNorm,
  rotateAppend,
  router,
  softcap,
  ssmScan,
] as const;
