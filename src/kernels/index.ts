import { add } from "./add.ts";
import { argmax } from "./argmax.ts";
import { attention } from "./attention.ts";
import { combine } from "./combine.ts";
import { embed } from "./embed.ts";
import { expertDown } from "./expert_down.ts";
import { expertGateUp } from "./expert_gate_up.ts";
import { gatedUnit } from "./gated_unit.ts";
import { hashRouter } from "./hash_router.ts";
import { lastToken } from "./last_token.ts";
import { layerNorm } from "./layer_norm.ts";
import { logprob } from "./logprob.ts";
import { matmul } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import { packCache } from "./pack_cache.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rotateAppend } from "./rotate_append.ts";
import { router } from "./router.ts";

/** Every kernel. Tests compile each of them with every part that it takes. */
export const kernels = [
  add,
  argmax,
  attention,
  combine,
  embed,
  expertDown,
  expertGateUp,
  gatedUnit,
  hashRouter,
  lastToken,
  layerNorm,
  logprob,
  matmul,
  matvec,
  packCache,
  rmsNorm,
  rotateAppend,
  router,
] as const;
