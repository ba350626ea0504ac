import { FaultEstimate } from "../scheduler/pacing/fault-estimate.ts";
import type { PacingCosts } from "../scheduler/pacing/pacing.ts";
import { type PacingName, pacingRules } from "../scheduler/pacing/registry.ts";
import type { PassCosts } from "./calibration.ts";

/** What {@link Pacer} must know of a model. */
export interface PacerOptions {
  readonly pacing: PacingName;
  /** MoE layers. */
  readonly layers: number;
  /** Whether every expert of a MoE layer is on the GPU: then it can't fault. */
  readonly isWhole: (moe: number) => boolean;
}

/** Chooses the cuts of each pass by the pacing rule, and watches which layers miss. */
export class Pacer {
  readonly name: PacingName;
  readonly #isWhole: PacerOptions["isWhole"];
  readonly #estimate: FaultEstimate;
  readonly #layers: number;
  #costs: PacingCosts = { readback: 0, layer: 0, skipped: 0, overlap: 0 };

  constructor({ pacing, layers, isWhole }: PacerOptions) {
    this.name = pacing;
    this.#isWhole = isWhole;
    this.#layers = layers;
    this.#estimate = new FaultEstimate(layers);
  }

  /** Takes over measured costs. */
  setCosts({ readback, overlap, pass, skipped }: PassCosts): void {
    const layers = Math.max(1, this.#layers);
    this.#costs = { readback, overlap, layer: pass / layers, skipped: skipped / layers };
  }

  /** The cuts of a pass of one token, and of every layer that can fault in a longer one. */
  cuts(tokens: number, ahead: boolean): readonly number[] {
    if (tokens === 1) return this.cutsOfFew(1, ahead);
    return this.#whole().flatMap((isWhole, moe) => (isWhole ? [] : [moe]));
  }

  /** The cuts of a pass of tokens so few that all of a layer's experts are often there. */
  cutsOfFew(tokens: number, ahead: boolean): readonly number[] {
    const whole = this.#whole();
    if (whole.every(Boolean)) return [];
    const faultProbability = this.#estimate.probabilities.map((probability, moe) =>
      whole[moe] ? 0 : 1 - (1 - probability) ** tokens,
    );
    const costs = ahead ? this.#costs : { ...this.#costs, overlap: 0 };
    return pacingRules[this.name].cuts({ faultProbability, costs }).filter((moe) => !whole[moe]);
  }

  #whole(): readonly boolean[] {
    return Array.from({ length: this.#layers }, (_, moe) => this.#isWhole(moe));
  }

  /** A layer of a pass of one token was served. */
  observe(moe: number, missed: boolean): void {
    this.#estimate.observe(moe, missed);
  }
}
