import type { TinyArchitecture } from "./settings.ts";

/** Dense. */
export const qwen3: TinyArchitecture = {
  defaults: () => ({ experts: 0 }),
};
