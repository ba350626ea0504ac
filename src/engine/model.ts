import type { ExpertCache } from "../experts/expert-cache.ts";
import type { EvictionPolicyName } from "../experts/policies/registry.ts";
import type { CacheFormatName } from "../formats/cache/registry.ts";
import type { Accuracy } from "../formats/input/registry.ts";
import type { ModelSpec } from "../models/model.ts";
import type { EngineProfile, MeasuredCosts, ProfileOptions, VariantReport } from "../rpc/api.ts";
import type { GpuNeeds, ParsedBudget } from "../scheduler/budget.ts";
import type { PacingName } from "../scheduler/pacing/registry.ts";
import type { SpeculationName } from "../speculation/registry.ts";
import type { ExecutorCounters } from "./counters.ts";
import type { ExpertMemoryOptions, ExpertPlan } from "./expert-memory.ts";
import type { ExpertStore } from "./expert-store.ts";
import type { Flight, FlightStart } from "./flight.ts";
import type { PassOptions, PassResult } from "./pass.ts";
import type { PredictorChoice, Prefetch } from "./prefetch.ts";
import type { VerifiedPass } from "./speculation/drafting.ts";
import type { Speculation } from "./speculation/speculation.ts";

/** How a model is made ready to run. */
export interface ModelOptions extends ExpertMemoryOptions {
  readonly predictor: PredictorChoice;
  readonly pacing: PacingName;
  readonly contextTokens: number;
  readonly kvCache: CacheFormatName;
  /** One that the runtime has. */
  readonly accuracy: Accuracy;
  /** The spec has the block that predicts further tokens where that is wanted. */
  readonly speculation: SpeculationName;
  readonly signal: AbortSignal | undefined;
  readonly onBytes: (bytes: number) => void;
  /** The weights are there; what computes with them is compiled next. */
  readonly onRecording: () => void;
}

/**
 * A model that is loaded and ready to run passes, whatever it runs on: `GpuModel` on WebGPU, `OnnxModel` in
 * WebAssembly. Owned by the engine, which calls `dispose`.
 */
export interface RunningModel {
  readonly spec: ModelSpec;
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly contextTokens: number;
  /** Tokens of a prompt that a pass computes, at most. */
  readonly chunkTokens: number;
  readonly kvCache: CacheFormatName;
  /** What products read. */
  readonly accuracy: Accuracy;
  /** Of all layers. */
  readonly kvCacheBytes: number;
  readonly needs: GpuNeeds;
  readonly variants: VariantReport;
  readonly prefetch: Prefetch;
  readonly policy: EvictionPolicyName;
  readonly pacing: PacingName;
  /** How replies may be drafted. */
  readonly speculation: Speculation;
  /** What the device can do beside passes; undefined where the host draws each token from its logits. */
  readonly choosing: ChoosingModel | undefined;
  /** What computes, with its version. */
  readonly adapter: string;
  /** Threads of this machine that compute; undefined where a GPU does. */
  readonly threads: number | undefined;
  /** Bytes that the model and what computes with it take there. */
  readonly memoryBytes: number;
  readonly counters: ExecutorCounters;
  readonly measuredCosts: MeasuredCosts;
  readonly dispatchesPerLayer: number;
  readonly budgetBytes: number;
  /** What the experts take, and what of that has slots. */
  readonly expertPlan: ExpertPlan;

  /**
   * Computes `tokens` at `position`, at most a chunk of them.
   * Throws what `runPass` throws.
   */
  pass(
    tokens: readonly number[],
    position: number,
    options: Pick<
      PassOptions,
      "logits" | "chooser" | "continues" | "following" | "predicts" | "signal"
    >,
  ): Promise<PassResult>;
  /** Waits for the passes in flight: what they work with can be changed then. */
  land(): Promise<void>;
  /**
   * Changes how many experts may be resident; what fits stays where it is. To be called between passes, with no load
   * under way. Throws "budget-too-small" or "out-of-memory", and changes nothing then.
   */
  setBudget(budget: ParsedBudget): Promise<void>;
  /** Times what passes are made of; see `EngineClient.profile`. */
  profile(options: ProfileOptions): Promise<EngineProfile>;
  dispose(): void;
}

/** A model whose device chooses tokens by itself, has several of them in flight, and verifies drafted ones. */
export interface ChoosingModel {
  /** Says how the tokens of a reply are chosen; see `encodeReplyBlock`. */
  beginReply(block: BufferSource, seen: BufferSource | undefined): void;
  /** Lets a flight begin with a token at a position that no pass with `continues` has chosen. */
  goOn(token: number, position: number): void;
  /**
   * Passes of one token each from where a pass with `continues` has ended, until the flight is closed. To be done, and
   * the flight used, while no budget is being changed.
   */
  takeOff(start: FlightStart): Flight;
  /**
   * Computes `tokens` at `position`, of which the first `known` ones are in the text and the others are drafted, and
   * keeps what is right of them. Throws what `runPass` throws.
   */
  verify(
    tokens: readonly number[],
    known: number,
    position: number,
    options: Pick<PassOptions, "logits" | "signal">,
  ): Promise<VerifiedPass>;
}
