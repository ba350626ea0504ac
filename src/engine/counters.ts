/** Work on passes since a model was loaded. */
export interface ExecutorCounters {
  readonly dispatches: number;
  readonly submits: number;
  readonly readbacks: number;
  /** By the host, for passes; experts are the store's. */
  readonly bytesWritten: number;
  /** Layers whose experts were found absent by the GPU. */
  readonly faults: number;
  /** Time during which a layer's loads were waited for. */
  readonly stallMs: number;
  /** Experts brought because a layer's choice was read before its experts' turn. */
  readonly exactLoads: number;
  /** Passes begun; those that a fault in front of them undid are taken back. */
  readonly passes: number;
  /** Passes in flight, summed over the moments at which one was waited for. */
  readonly inFlight: number;
}

/** Counts work on passes. */
export class WorkCounters {
  readonly #values: { -readonly [Name in keyof ExecutorCounters]: number } = {
    dispatches: 0,
    submits: 0,
    readbacks: 0,
    bytesWritten: 0,
    faults: 0,
    stallMs: 0,
    exactLoads: 0,
    passes: 0,
    inFlight: 0,
  };

  add(what: keyof ExecutorCounters, amount: number): void {
    this.#values[what] += amount;
  }

  /** As they are now. */
  get values(): ExecutorCounters {
    return { ...this.#values };
  }
}
