/** What a pacing rule goes by: one value for each MoE layer, and measured times in milliseconds. */
export interface PacingContext {
  /** The probability, for each MoE layer, that a pass finds an expert absent. */
  readonly faultProbability: ArrayLike<number>;
  readonly costs: PacingCosts;
}

/** Measured times in milliseconds. */
export interface PacingCosts {
  /** What a readback in the middle of a pass adds to it where nothing runs beside it. */
  readonly readback: number;
  /** One layer's work. */
  readonly layer: number;
  /** One layer's steps when they return at once. */
  readonly skipped: number;
  /** What of a readback is hidden behind other work; 0 for routers after attention. */
  readonly overlap: number;
  /** From the end of a pass to the start of the next one where it is submitted once the first is read. */
  readonly turnaround: number;
}

/** How far ahead a pass of one token is submitted. */
export interface PacingRule {
  /**
   * The MoE layers whose choice is read, and made resident, before their experts are submitted. The others run on and
   * fault if they must. Ascending.
   */
  cuts(context: PacingContext): readonly number[];
  /** How many tokens' passes are on their way at once where there are no cuts; with cuts, and by default, one. */
  tokensInFlight?(context: PacingContext): number;
}
