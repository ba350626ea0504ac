import { FaultEstimate } from "../scheduler/pacing/fault-estimate.ts";
import type { PacingCosts, PacingRule } from "../scheduler/pacing/pacing.ts";
import { type PacingName, pacingRules } from "../scheduler/pacing/registry.ts";
import type { PassCosts } from "./calibration.ts";

/** What {@link Pacer} must know of a model. */
export interface PacerOptions {
  readonly pacing: PacingName;
  /** MoE layers of the model's own. */
  readonly layers: number;
  /** Those of a block behind it, which passes of one token leave out. */
  readonly blockLayers?: number;
  /** Whether every expert of a MoE layer is on the GPU: then it can't fault. */
  readonly isWhole: (moe: number) => boolean;
}

/** How the next pass of one token is submitted, and how many at once. */
export interface PassPlan {
  readonly cuts: readonly number[];
  /** 1 where there are cuts. */
  readonly tokensInFlight: number;
}

/** Chooses the cuts of each pass by the pacing rule, and watches which layers miss. */
export class Pacer {
  readonly name: PacingName;
  readonly #isWhole: PacerOptions["isWhole"];
  readonly #estimate: FaultEstimate;
  readonly #layers: number;
  readonly #blockLayers: number;
  #costs: PacingCosts = { readback: 0, layer: 0, skipped: 0, overlap: 0, turnaround: 0 };

  constructor({ pacing, layers, blockLayers = 0, isWhole }: PacerOptions) {
    this.name = pacing;
    this.#isWhole = isWhole;
    this.#layers = layers;
    this.#blockLayers = blockLayers;
    this.#estimate = new FaultEstimate(layers);
  }

  /** Takes over measured costs. */
  setCosts({ readback, overlap, pass, skipped, turnaround }: PassCosts): void {
    const layers = Math.max(1, this.#layers);
    const [layer, skippedLayer] = [pass / layers, skipped / layers];
    this.#costs = { readback, overlap, layer, skipped: skippedLayer, turnaround };
  }

  /** A pass of one token; `ahead` when its choices can be read before the experts' turn. */
  plan(ahead: boolean): PassPlan {
    const { cuts, context, rule } = this.#cuts(1, ahead);
    const tokensInFlight = cuts.length > 0 ? 1 : (rule.tokensInFlight?.(context) ?? 1);
    return { cuts, tokensInFlight };
  }

  /** The cuts of a pass of tokens so few that all of a layer's experts are often there. */
  cutsOfFew(tokens: number, ahead: boolean): readonly number[] {
    const behind = this.cutsOfMany().filter((moe) => moe >= this.#layers);
    return [...this.#cuts(tokens, ahead).cuts, ...behind];
  }

  /** The cuts of a pass of several tokens: every layer that can fault. */
  cutsOfMany(): readonly number[] {
    return Array.from({ length: this.#layers + this.#blockLayers }, (_, moe) => moe).filter(
      (moe) => !this.#isWhole(moe),
    );
  }

  /** The cuts of a pass of a few tokens by the rule, and what that went by. */
  #cuts(tokens: number, ahead: boolean) {
    const whole = Array.from({ length: this.#layers }, (_, moe) => this.#isWhole(moe));
    const faultProbability = this.#estimate.probabilities.map((probability, moe) =>
      whole[moe] ? 0 : 1 - (1 - probability) ** tokens,
    );
    const costs = ahead ? this.#costs : { ...this.#costs, overlap: 0 };
    const rule: PacingRule = pacingRules[this.name];
    const context = { faultProbability, costs };
    const cuts = whole.every(Boolean) ? [] : rule.cuts(context).filter((moe) => !whole[moe]);
    return { cuts, context, rule };
  }

  /** A layer of a pass of one token was served. */
  observe(moe: number, missed: boolean): void {
    this.#estimate.observe(moe, missed);
  }
}
