import type { ExpertCache } from "../experts/expert-cache.ts";
import type { ExpertGuess, Guesser, RouterInput } from "../experts/predictors/predictor.ts";
import {
  defaultPredictor,
  type PredictorName,
  predictorFor,
} from "../experts/predictors/registry.ts";
import type { MoeSpec } from "../ops/ops.ts";
import { PREFETCH_MIN_PROBABILITY, planPrefetch } from "../scheduler/prefetch.ts";
import { type PrefetchCosts, PrefetchGauge } from "../scheduler/prefetch-gauge.ts";
import type { ExpertStore } from "./expert-store.ts";

/** A predictor that fits the model's routers. */
export interface PredictorChoice {
  readonly name: PredictorName | "none";
  /** It knows what the routers choose before the experts are due. */
  readonly exact: boolean;
  /** Layers' routers are also run on the state of the layer before. */
  readonly needsGpuGuesses: boolean;
}

/** Chooses the predictor of a model. Throws "bad-input" for an exact one that does not know its kind of router. */
export function choosePredictor(
  wanted: PredictorName | "auto" | "none",
  routerInput: RouterInput,
): PredictorChoice {
  const name = wanted === "auto" ? defaultPredictor(routerInput) : wanted;
  if (name === "none") return { name, exact: false, needsGpuGuesses: false };
  const predictor = predictorFor(name, routerInput);
  const exact = predictor.kind === "exact";
  return {
    name,
    exact,
    needsGpuGuesses: predictor.kind === "guess" && predictor.needsGpuGuesses,
  };
}

/** What prefetching did since the model was loaded. */
export interface PrefetchStats {
  readonly issued: number;
  readonly used: number;
  readonly late: number;
  readonly wastedBytes: number;
  /** Undefined unless a predictor guesses. */
  readonly recall: number | undefined;
  readonly predictor: PredictorName | "none" | "off";
}

/** What prefetching works on; all of it is the model's. */
export interface PrefetchParts {
  readonly moe: readonly MoeSpec[];
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  /** Bytes of a record, for each pool. */
  readonly recordBytes: readonly number[];
  /** What a fault costs, and a byte on its way to the GPU. */
  readonly costs: PrefetchCosts;
  /** Experts that were loaded because a choice was read early. */
  readonly exactLoads: () => number;
}

/**
 * Brings experts before they are asked for. An exact predictor needs nothing here: the pass itself reads the choice
 * early and loads what it names. A guessing one is asked before each pass or layer of one token; what it names is
 * loaded if the gauge says that this pays.
 */
export class Prefetch {
  readonly exact: boolean;
  readonly needsGpuGuesses: boolean;
  readonly #name: PredictorName | "none";
  readonly #parts: PrefetchParts;
  readonly #pools: readonly number[];
  readonly #gauge: PrefetchGauge | undefined;
  readonly #guesser: Guesser | undefined;

  constructor({ name, exact, needsGpuGuesses }: PredictorChoice, parts: PrefetchParts) {
    this.exact = exact;
    this.needsGpuGuesses = needsGpuGuesses;
    this.#name = name;
    this.#parts = parts;
    this.#pools = parts.moe.map(({ pool }) => pool);
    const [first] = parts.moe;
    if (name === "none" || exact || !first) return;
    const predictor = predictorFor(name, first.routerInput);
    if (predictor.kind !== "guess") return;
    const { cache, recordBytes } = parts;
    this.#gauge = new PrefetchGauge({ cache, pools: this.#pools, recordBytes });
    const { experts, topK } = first;
    this.#guesser = predictor.create({ pools: this.#pools, experts, topK });
  }

  /** Whether a predictor guesses. */
  get guesses(): boolean {
    return this.#guesser !== undefined;
  }

  get stats(): PrefetchStats {
    if (!this.#gauge) {
      const issued = this.#parts.exactLoads();
      const predictor = this.#name;
      return { issued, used: issued, late: 0, wastedBytes: 0, recall: undefined, predictor };
    }
    const { issued, used, late, wastedBytes, recall } = this.#gauge.counters;
    const predictor = this.#gauge.enabled ? this.#name : "off";
    return { issued, used, late, wastedBytes, recall, predictor };
  }

  /** For a map: 1 for each expert that was brought on a guess and not used since; `[pools, experts]`. */
  unused(): Uint8Array {
    const { cache } = this.#parts;
    const map = new Uint8Array(cache.pools * cache.experts);
    return map.map((_, index) => {
      const pool = Math.floor(index / cache.experts);
      return this.#gauge?.isUnused(pool, index % cache.experts) ? 1 : 0;
    });
  }

  /** A pass of one token is about to begin. */
  beforePass(token: number): void {
    if (this.#guesser) this.#follow(this.#guesser.beforePass(token));
  }

  /** The choice of a layer is known, and not counted or loaded for yet. */
  asked(moe: number, ids: Uint32Array): void {
    this.#gauge?.asked(moe, ids);
  }

  /** The choices up to layer `moe` are known: the next layer's can be guessed. */
  onChosen(moe: number, ids: readonly Uint32Array[], gpuGuess: Uint32Array | undefined): void {
    if (!this.#guesser || moe + 1 >= this.#pools.length) return;
    this.#follow(this.#guesser.beforeLayer(moe + 1, ids, gpuGuess));
  }

  /** A pass was computed to its end. */
  observe(tokens: readonly number[], ids: readonly Uint32Array[]): void {
    this.#guesser?.observe(tokens, ids);
    if (tokens.length === 1) this.#gauge?.endPass(this.#parts.costs);
  }

  #follow(guesses: readonly ExpertGuess[]): void {
    const { cache, store, moe } = this.#parts;
    const gauge = this.#gauge;
    if (!gauge) return;
    gauge.guessed(guesses);
    if (!gauge.enabled) return;
    const pools = this.#pools;
    const limitPerPool = moe[0]?.topK ?? 0;
    const prefetches = planPrefetch({
      cache,
      pools,
      guesses,
      limitPerPool,
      minProbability: PREFETCH_MIN_PROBABILITY,
    });
    gauge.issued(prefetches);
    for (const { pool, load } of prefetches) {
      if (store.inRam(pool, load.expert)) store.loadNow(pool, load);
      else store.load(pool, load, "prefetch").catch(() => gauge.failed(pool, load.expert));
    }
  }
}
