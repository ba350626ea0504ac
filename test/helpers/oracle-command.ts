import type { BrowserCommand } from "vitest/node";
import type { TinyModelOptions } from "./tiny-models.ts";

/** What a page asks of the oracle: a tiny model, and how to run it. */
export interface OracleOptions extends TinyModelOptions {
  /**
   * llama.cpp runs a copy whose tensors are expanded to F32, so that it does not round activations; the file served
   * is as the other options say. Default false.
   */
  readonly expand?: boolean;
  /** Default: 24 token ids. */
  readonly prompt?: readonly number[];
  /** Greedy steps. Default 16. */
  readonly steps?: number;
}

/** A model and what llama.cpp does with it. Plain data, as it comes to a page. */
export interface OracleFixture {
  /** Where the GGUF is on the machine that runs the tests, and where the page's own server has it. */
  readonly path: string;
  readonly url: string;
  /** Length of the GGUF. */
  readonly bytes: number;
  readonly prompt: readonly number[];
  /** Greedy tokens after the prompt. */
  readonly tokens: readonly number[];
  /** For each token, by how much its logit leads. */
  readonly margins: readonly number[];
  /** For each token, the logits `[vocab]` it was chosen by: the first are those after the prompt. */
  readonly logits: readonly (readonly number[])[];
  /** The log-probability of each token of the prompt and of `tokens` but the very first, given those before it. */
  readonly scores: readonly number[];
}

declare module "vitest/browser" {
  interface BrowserCommands {
    oracle: (options: OracleOptions) => Promise<OracleFixture>;
  }
}

const oracle: BrowserCommand<[options: OracleOptions]> = async ({ project }, options) => {
  // Vitest's configuration is loaded without Vite, which the imports of shaders need.
  const fixtures = await project.import<typeof import("./oracle-fixtures.ts")>(
    "/test/helpers/oracle-fixtures.ts",
  );
  return fixtures.makeOracleFixture(options);
};

/** For `test.browser.commands`: what pages may ask Node to do. */
export const oracleCommands = { oracle };
