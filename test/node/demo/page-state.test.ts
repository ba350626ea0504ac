import { describe, expect, test } from "vitest";
import {
  describeFailure,
  describeRefusal,
  describeStorageFailure,
  endsEngine,
  isAbort,
} from "../../../demo/chat/failures.ts";
import { chooseBundled, chooseUrl, STOCK_MODELS } from "../../../demo/chat/models.ts";
import {
  describeContext,
  describeFinds,
  describeReply,
  listDetails,
  listNumbers,
} from "../../../demo/chat/numbers.ts";
import {
  DEFAULT_SETTINGS,
  PACINGS,
  POLICIES,
  PREDICTORS,
  readRuntime,
  readSettings,
  toEngineOptions,
  toGenerateOptions,
  withRuntime,
} from "../../../demo/chat/settings.ts";
import { type AppState, describeStatus } from "../../../demo/chat/state.ts";
import { createStore } from "../../../demo/chat/store.ts";
import { describeRuntime, expectRuntime, type RuntimeName } from "../../../demo/chat/words.ts";
import { evictionPolicies } from "../../../src/experts/policies/registry.ts";
import { predictors } from "../../../src/experts/predictors/registry.ts";
import {
  type EngineStats,
  type ModelInfo,
  SLUICE_ERROR_CODES,
  SluiceError,
} from "../../../src/index.ts";
import { pacingRules } from "../../../src/scheduler/pacing/registry.ts";

describe("failures", () => {
  test.for(SLUICE_ERROR_CODES.filter((code) => code !== "aborted"))(
    "%s is a title, advice and what the engine said",
    (code) => {
      const failure = describeFailure(new SluiceError(code, "Said by the engine."));

      expect(failure.title).toMatch(/^[A-Z].*\.$/);
      expect(failure.advice).toMatch(/^[A-Z].*\.$/);
      expect(failure.detail).toBe(`${code}: Said by the engine.`);
    },
  );

  test("a failure of no known kind is told, too, and restarts the engine", () => {
    const failure = describeFailure(new TypeError("x is undefined"));

    expect(failure.detail).toBe("TypeError: x is undefined");
    expect(failure.remedies).toEqual(["restart"]);
    expect(endsEngine(new TypeError("x is undefined"))).toBe(true);
    expect(describeFailure("text").detail).toBe("text");
  });

  test("a full conversation is no reason to end the engine, a lost device is", () => {
    expect(endsEngine(new SluiceError("context-full", ""))).toBe(false);
    expect(endsEngine(new SluiceError("device-lost", ""))).toBe(true);
  });

  test("of storage keep what the engine said, and the model that is loaded", () => {
    const refused = new SluiceError("engine-state", "This model is loaded.");

    expect(describeStorageFailure("M could not be deleted.", refused)).toEqual({
      title: "M could not be deleted.",
      advice: "This model is loaded.",
      detail: "engine-state",
      remedies: [],
    });
    expect(describeStorageFailure("M.", new Error("locked"))).toMatchObject({
      advice: "Close other tabs of this page, then try again.",
      detail: "Error: locked",
    });
  });

  test("of a budget are a sentence without a code", () => {
    const refused = new SluiceError("budget-too-small", "Give at least 25 %.");

    expect(describeRefusal(refused)).toBe("The budget stays as it was. Give at least 25 %.");
  });

  test("what a person stopped is no failure", () => {
    expect(isAbort(new SluiceError("aborted", ""))).toBe(true);
    expect(isAbort(new SluiceError("network", ""))).toBe(false);
    expect(isAbort(new Error("aborted"))).toBe(false);
  });
});

describe("settings", () => {
  test("are read from the fields of the form", () => {
    const fields = { temperature: "0", topK: "5", topP: "0.5", maxTokens: "64", seed: "7" };

    const engine = { runtime: "onnx", policy: "lru", predictor: "next-layer", pacing: "pass" };

    expect(readSettings({ ...fields, ...engine, systemPrompt: "Be kind." })).toEqual({
      ...engine,
      temperature: 0,
      topK: 5,
      topP: 0.5,
      maxTokens: 64,
      seed: 7,
      systemPrompt: "Be kind.",
    });
  });

  test("keep their defaults where a field is empty or no number", () => {
    expect(readSettings({ temperature: "", topK: "many" })).toEqual(DEFAULT_SETTINGS);
    expect(readSettings({ runtime: "gpu", policy: "no such", pacing: "toString" })).toEqual(
      DEFAULT_SETTINGS,
    );
  });

  test("stay within what the engine takes", () => {
    const settings = readSettings({ temperature: "99", topK: "2.4", topP: "-1", seed: "-3" });

    expect(settings).toMatchObject({ temperature: 2, topK: 2, topP: 0.05, seed: 0 });
  });

  test("offer every policy, pacing rule and guessing predictor of the engine", () => {
    const guessing = Object.entries(predictors)
      .filter(([, { kind }]) => kind === "guess")
      .map(([name]) => name);

    expect(Object.keys(POLICIES).sort()).toEqual(Object.keys(evictionPolicies).sort());
    expect(Object.keys(PACINGS).sort()).toEqual(Object.keys(pacingRules).sort());
    expect(Object.keys(PREDICTORS).sort()).toEqual(["auto", "none", ...guessing].sort());
    expect(toEngineOptions(DEFAULT_SETTINGS)).toEqual({
      runtime: "auto",
      policy: "lfu-decayed",
      predictor: "auto",
      pacing: "adaptive",
    });
    expect(toGenerateOptions(DEFAULT_SETTINGS)).not.toHaveProperty("policy");
  });

  test("have what computes from the page's address, and keep it there", () => {
    const address = "https://example.com/chat?lang=en";

    expect(readRuntime(address)).toBe("auto");
    expect(readRuntime(`${address}&runtime=onnx`)).toBe("onnx");
    expect(readRuntime(`${address}&runtime=abacus`)).toBe("auto");
    expect(withRuntime(address, "webgpu")).toBe(`${address}&runtime=webgpu`);
    expect(withRuntime(`${address}&runtime=webgpu`, "auto")).toBe(address);
  });

  test("leave the seed to the engine when there is none", () => {
    expect(toGenerateOptions(DEFAULT_SETTINGS)).not.toHaveProperty("seed");
    expect(toGenerateOptions({ ...DEFAULT_SETTINGS, seed: 3 })).toMatchObject({ seed: 3 });
  });
});

describe("models", () => {
  test("the one made for the page is the bundled one", () => {
    const files = { "../models/a.gguf": "/a.gguf", "../models/sluice-small.gguf": "/x/s-1.gguf" };

    expect(chooseBundled(files)).toEqual({
      kind: "bundled",
      label: "sluice-small",
      source: "/x/s-1.gguf",
    });
    expect(chooseBundled({ "../models/a.gguf": "/a.gguf" })?.source).toBe("/a.gguf");
    expect(chooseBundled({})).toBeUndefined();
  });

  test("an address loses the spaces around it", () => {
    expect(chooseUrl(" https://example.com/m.gguf ")).toMatchObject({
      label: "m",
      source: "https://example.com/m.gguf",
    });
  });

  test("every suggestion leads to a GGUF and says that it is large and not tested", () => {
    for (const { url, label } of STOCK_MODELS) {
      expect(url).toMatch(/^https:\/\/huggingface\.co\/[^/]+\/[^/]+\/resolve\/main\/.+\.gguf$/);
      expect(label).toMatch(/GB download, not tested here$/);
    }
  });
});

const STATS = {
  tokens: 42,
  tokensPerSecond: 20.25,
  firstTokenMs: 410,
  expertHits: 90,
  expertMisses: 10,
  faults: 3,
  stallMs: 5,
  bytesUploaded: 1e6,
  dispatchesPerToken: 79.5,
  readbacksPerToken: 1,
  bytesFromNetwork: 1e6,
  bytesFromDisk: 2e6,
  loadsFromRam: 6,
  loadsFromDisk: 3,
  loadsFromSource: 1,
  prefetchIssued: 8,
  prefetchUsed: 5,
  prefetchLate: 2,
  policy: "lru",
  predictor: "none",
  pacing: "adaptive",
  adapter: "Some GPU",
  runtime: { name: "webgpu", reason: "there is an adapter" },
} as EngineStats;
const WASM_STATS: EngineStats = {
  ...STATS,
  adapter: "some build of onnxruntime-web",
  runtime: { name: "onnx", reason: "it was asked for", threads: 2 },
};

describe("what computes", () => {
  test("is told with its reason", () => {
    const reason = "this browser has no WebGPU";

    expect(describeRuntime(undefined)).toBe("");
    expect(describeRuntime({ runtime: { name: "onnx", reason, threads: 2 } })).toBe(
      "Runs in WebAssembly (2 threads): this browser has no WebGPU.",
    );
    expect(describeRuntime({ runtime: { name: "onnx", reason, threads: 1 } })).toContain(
      "(1 thread)",
    );
    expect(describeRuntime({ runtime: { name: "webgpu", reason: "it was asked for" } })).toBe(
      "Runs on WebGPU: it was asked for.",
    );
  });

  test("is expected to be what was asked for, and otherwise what the browser has", () => {
    expect(expectRuntime("onnx", true)).toBe("onnx");
    expect(expectRuntime("webgpu", false)).toBe("webgpu");
    expect(expectRuntime("auto", true)).toBe("webgpu");
    expect(expectRuntime("auto", false)).toBe("onnx");
  });
});

describe("numbers", () => {
  /** Values by label. */
  const valuesOf = (stats: EngineStats | undefined, runtime: RuntimeName = "webgpu") => {
    const details = listDetails(stats, runtime).flatMap(({ rows }) => rows);
    const all = [...listNumbers(stats, runtime), ...details];
    return new Map(all.map(({ label, value }) => [label, value.replaceAll("\u00a0", " ")]));
  };

  test("are dashes before the first reply", () => {
    expect(new Set(valuesOf(undefined).values())).toEqual(new Set(["–"]));
  });

  test("tell the hit rate, and where everything came from", () => {
    expect(Object.fromEntries(valuesOf(STATS))).toMatchObject({
      "Tokens a second": "20.3",
      "Found on the GPU": "90 %",
      Hits: "90",
      Misses: "10",
      "Loaded from RAM": "6",
      "Loaded from disk": "3",
      "Loaded from the source": "1",
      "Brought ahead": "5 of 8 used, 2 late",
      "From the network": "1.00 MB",
      "From disk": "2.00 MB",
      Policy: "lru",
    });
  });

  test("have other names under WebAssembly, and leave out what only a GPU has", () => {
    const values = valuesOf({ ...STATS, readbacksPerToken: 0 }, "onnx");

    expect(values.get("Found ready")).toBe("90 %");
    expect(values.has("Found on the GPU")).toBe(false);
    expect(values.get("Readbacks a token")).toBe("–");
    expect(values.get("Pacing")).toBe("–");
  });

  test("tell of no hit rate where nothing was looked for, and of no prefetch where there was none", () => {
    const values = valuesOf({ ...STATS, expertHits: 0, expertMisses: 0, prefetchIssued: 0 });

    expect(values.get("Found on the GPU")).toBe("–");
    expect(values.get("Waited for experts")).toBe("–");
    expect(values.get("Brought ahead")).toBe("0");
  });

  test("tell hits and misses in a sentence, of the reply that runs or of the last one", () => {
    expect(describeFinds(STATS, true)).toBe("This reply so far: 90 hits, 10 misses.");
    expect(describeFinds({ ...STATS, expertHits: 1, expertMisses: 1 }, false)).toBe(
      "Last reply: 1 hit, 1 miss.",
    );
    expect(describeFinds({ ...STATS, expertHits: 0, expertMisses: 0 }, false)).toBe("");
    expect(describeFinds(undefined, false)).toBe("");
  });

  test("below a reply tell how it ended", () => {
    expect(describeReply(STATS, "stop")).toBe("42 tokens, 20.3 a second");
    expect(describeReply({ ...STATS, tokens: 1, tokensPerSecond: 0 }, "aborted")).toBe(
      "1 token, stopped",
    );
    expect(describeReply(STATS, "length")).toContain("cut off");
  });

  test("tell how full the context is", () => {
    expect(describeContext(0, 512)).toBe("");
    expect(describeContext(1200, 4096)).toBe("1,200 of 4,096 tokens of context");
  });
});

describe("the status", () => {
  const state = {
    phase: "idle",
    choice: { kind: "url", label: "m", source: "https://example.com/m.gguf" },
  } as AppState;

  test.for([
    [state, "No model loaded", "calm"],
    [{ ...state, failure: describeFailure(new Error()) }, "Not running", "bad"],
    [{ ...state, phase: "loading" }, "Loading m", "busy"],
    [{ ...state, phase: "ready" }, "m", "good"],
    [{ ...state, phase: "ready", stats: STATS }, "m · Some GPU", "good"],
    [{ ...state, phase: "ready", stats: WASM_STATS }, "m · WebAssembly (2 threads)", "good"],
    [{ ...state, phase: "replying", model: { name: "M" } as ModelInfo }, "M", "busy"],
  ] as const)("is told by the header's pill, case %#", ([of, text, tone]) => {
    expect(describeStatus(of)).toEqual({ text, tone });
  });
});

describe("the store", () => {
  test("renders at once, and then only what changed", () => {
    const store = createStore({ a: 1, b: 1 });
    const seen: number[] = [];
    store.watch(
      ({ a }) => a,
      (a) => seen.push(a),
    );

    store.update({ b: 2 });
    store.update({ a: 2 });
    store.update({ a: 2 });

    expect(seen).toEqual([1, 2]);
    expect(store.state).toEqual({ a: 2, b: 2 });
  });
});
