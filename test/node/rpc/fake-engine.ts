import type { Engine } from "../../../src/engine/types.ts";
import type {
  EngineProfile,
  EngineStats,
  GenerateResult,
  ModelInfo,
  StorageReport,
  VariantReport,
} from "../../../src/rpc/api.ts";

/** An engine by script: each call does what the test gave it, and counts the tokens it was asked for. */
export interface FakeEngine extends Engine {
  /** Tokens computed so far, over all replies. */
  computed: number;
  disposed: boolean;
  /** What `load` was given last. */
  loaded: unknown;
}

export const MODEL = { name: "fake", architecture: "fake", layers: 2 } as ModelInfo;
export const STATS = { adapter: "fake adapter", tokens: 0 } as EngineStats;

export const VARIANTS = { matrix: { chosen: "serial" } } as VariantReport;
export const PROFILE = { adapter: "fake adapter" } as EngineProfile;

export const STORAGE: StorageReport = {
  models: [],
  usedBytes: 1,
  quotaBytes: 2,
  persisted: false,
};

/** A fake that answers `words`, one a token, with the calls in `script` in place of its own. */
export function createFakeEngine(
  words: readonly string[] = ["Once", " upon", " a", " time"],
  script: Partial<Engine> = {},
): FakeEngine {
  const fake: FakeEngine = {
    computed: 0,
    disposed: false,
    loaded: undefined,
    async load(source, _options, hooks) {
      fake.loaded = source;
      hooks.onProgress?.({ phase: "header", loadedBytes: 1, totalBytes: 2 });
      hooks.onProgress?.({ phase: "ready", loadedBytes: 2, totalBytes: 2 });
      return MODEL;
    },
    async *generate(_prompt, options, signal) {
      const tokens: number[] = [];
      const count = Math.min(words.length, options.maxTokens ?? words.length);
      const result = (finishReason: GenerateResult["finishReason"]): GenerateResult => ({
        promptTokens: [1, 2, 3],
        tokens,
        text: tokens.map((token) => words[token]).join(""),
        finishReason,
        seed: options.seed ?? 0,
        stats: STATS,
      });
      for (let token = 0; token < count; token++) {
        if (signal?.aborted) return result("aborted");
        fake.computed++;
        tokens.push(token);
        const text = words[token] ?? "";
        const logprobs = [{ token, logprob: -0.5, text, top: [{ token, logprob: -0.5, text }] }];
        yield {
          tokens: [token],
          text,
          ...(options.topLogprobs !== undefined && { logprobs }),
        };
      }
      return result(count < words.length ? "length" : "stop");
    },
    async score(tokens) {
      return { logprobs: tokens.slice(1).map((token) => -token), stats: STATS };
    },
    async setBudget() {
      return { gpuBudgetBytes: 42, ramBudgetBytes: 43, diskBudgetBytes: 44 };
    },
    stats: () => STATS,
    profile: async () => PROFILE,
    expertMap: () => ({
      layers: 1,
      layerNumbers: [0],
      experts: 2,
      state: Uint8Array.of(0, 2),
      uses: new Uint16Array(2),
      below: Uint8Array.of(1, 2),
      prefetched: Uint8Array.of(0, 1),
    }),
    variants: () => VARIANTS,
    async clearTuning() {},
    tokenize: (text) => [...text].map((char) => char.charCodeAt(0)),
    listStored: async () => STORAGE,
    verifyStored: async () => ({ checked: 5, damaged: 1 }),
    async deleteStored() {},
    persistStorage: async () => true,
    async dispose() {
      fake.disposed = true;
    },
    ...script,
  };
  return fake;
}
