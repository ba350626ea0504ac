import type { TinyArchitecture } from "./settings.ts";

/** Nothing but what all have. */
export const qwen3moe: TinyArchitecture = {};
