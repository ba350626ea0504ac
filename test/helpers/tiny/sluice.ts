import { g } from "../gguf-writer.ts";
import type { TinyArchitecture } from "./settings.ts";

/** With the router that is asked for. */
export const sluice: TinyArchitecture = {
  keys: ({ routerInput }) => ({ router_input: g.string(routerInput) }),
};
