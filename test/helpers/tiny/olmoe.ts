import type { TinyArchitecture } from "./settings.ts";

/** Each query head has keys of its own: files of this architecture know no others. */
export const olmoe: TinyArchitecture = {
  defaults: ({ heads }) => ({ kvHeads: heads }),
};
