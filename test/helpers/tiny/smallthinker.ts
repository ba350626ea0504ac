import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/** Sigmoid scores and no windows, unless asked. */
export const smallthinker: TinyArchitecture = {
  keys: ({ score, windows }) => ({
    expert_gating_func: g.u32(score === "softmax" ? 1 : 2),
    ...(windows && { "attention.sliding_window": g.u32(4096) }),
  }),
};
