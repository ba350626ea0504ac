import { accept } from "./accept.ts";
import { add } from "./add.ts";
import { argmax } from "./argmax.ts";
import { argmaxRows } from "./argmax_rows.ts";
import { attention } from "./attention.ts";
import { causalConv } from "./causal_conv.ts";
import { combine } from "./combine.ts";
import { concat } from "./concat.ts";
import { embed } from "./embed.ts";
import { expertDown } from "./expert_down.ts";
import { expertDownColumns } from "./expert_down_columns.ts";
import { expertGateUp } from "./expert_gate_up.ts";
import { gatedNorm } from "./gated_norm.ts";
import { gatedUnit } from "./gated_unit.ts";
import { hashRouter } from "./hash_router.ts";
import { headLinear } from "./head_linear.ts";
import { headLinearTransposed } from "./head_linear_transposed.ts";
import { lastToken } from "./last_token.ts";
import { latentAppend } from "./latent_append.ts";
import { layerNorm } from "./layer_norm.ts";
import { logprob } from "./logprob.ts";
import { matmul } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import { packCache } from "./pack_cache.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rotateAppend } from "./rotate_append.ts";
import { router } from "./router.ts";
import { shift } from "./shift.ts";
import { softcap } from "./softcap.ts";
import { ssmScan } from "./ssm_scan.ts";

/** Every kernel. Tests compile each of them with every part that it takes. */
export const kernels = [
  accept,
  add,
  argmax,
  argmaxRows,
  attention,
  causalConv,
  combine,
  concat,
  embed,
  expertDown,
  expertDownColumns,
  expertGateUp,
  gatedNorm,
  gatedUnit,
  hashRouter,
  headLinear,
  headLinearTransposed,
  lastToken,
  latentAppend,
  layerNorm,
  logprob,
  matmul,
  matvec,
  packCache,
  rmsNorm,
  rotateAppend,
  router,
  shift,
  softcap,
  ssmScan,
] as const;
