import type { ExpertCache } from "../../../experts/expert-cache.ts";
import { ABSENT } from "../../../experts/page-table.ts";
import type { ModelSpec } from "../../../models/model.ts";
import type { HostTensor } from "../../../onnx/runtime.ts";
import type { ExpertStore } from "../../expert-store.ts";
import { type ExpertsPlace, PassExperts, type ResidentExperts } from "../../pass-experts.ts";
import type { ColumnSlots } from "./columns.ts";
import type { ExpertComputer } from "./computer.ts";

/** What experts are computed with; all of it is the model's. */
export interface LayerExpertsParts {
  readonly spec: ModelSpec;
  readonly computer: ExpertComputer;
  /** Of each MoE layer: the number of its form. */
  readonly forms: readonly number[];
  readonly cache: ExpertCache;
  readonly store: ExpertStore;
  readonly slots: ColumnSlots;
  readonly count: (
    what: "faults" | "stallMs" | "exactLoads" | "dispatches",
    amount: number,
  ) => void;
}

/** What {@link LayerExperts} must know of a pass. */
export interface LayerExpertsOptions {
  readonly tokens: number;
  readonly signal: AbortSignal | undefined;
  /** Lets the thread do something else if it is time. */
  readonly breathe: () => Promise<void>;
}

/** What a layer chose: for each token, best first. Both `[tokens, topK]`. */
export interface Choice {
  readonly ids: Uint32Array;
  readonly weights: Float32Array;
}

/** A layer that has chosen, until its experts have been computed. */
interface DueLayer {
  readonly choice: Choice;
  /** Experts that are being brought before their turn. */
  readonly early: Promise<ResidentExperts> | undefined;
  readonly turn: Waiting<Turn>;
}

/** What a layer's experts read, when it is their turn. */
interface Turn {
  readonly x: HostTensor;
  readonly residual: Float32Array;
  readonly choice: Choice;
}

/** Brings and computes the experts of a pass, layer by layer. Its maker calls `close`, also in the middle. */
export class LayerExperts {
  readonly #parts: LayerExpertsParts;
  readonly #options: LayerExpertsOptions;
  readonly #bringer: PassExperts<ExpertsPlace>;
  readonly #due = new Map<number, DueLayer>();

  constructor(parts: LayerExpertsParts, options: LayerExpertsOptions) {
    const { cache, store, count, spec } = parts;
    const { tokens, signal } = options;
    this.#parts = parts;
    this.#options = options;
    this.#bringer = new PassExperts(
      { moe: spec.moe, cache, store, count },
      {
        tokens,
        signal,
        submit: async ({ moe }, slots) =>
          this.#compute(moe, slots, await this.#due.get(moe)!.turn.arrived),
      },
    );
  }

  /** A layer has chosen; `ahead` brings what it chose from now on. */
  chosen(moe: number, choice: Choice, ahead: boolean): void {
    const { pool, routerInput } = this.#parts.spec.moe[moe]!;
    // Of layers that share a pool, one at a time brings its experts: two might want more slots than there are.
    const isTaken = [...this.#due.keys()].some(
      (other) => this.#parts.spec.moe[other]!.pool === pool,
    );
    const isEarly = ahead && routerInput !== "post-attention" && !isTaken;
    const turn = waiting<Turn>();
    // Known before it is begun, since computing looks it up.
    const due = { choice, early: undefined, turn };
    this.#due.set(moe, due);
    if (!isEarly) return;
    const early = this.#bringer.makeResident({ moe, sums: false }, choice.ids, true);
    early.catch(() => {}); // whoever takes its turn is told
    this.#due.set(moe, { ...due, early });
  }

  /** `residual + Σ weight · expert(x)` of a layer that has chosen. x `[tokens, hidden]` -> the same */
  async run(moe: number, x: HostTensor, residual: Float32Array): Promise<Float32Array> {
    const { choice, early, turn } = this.#due.get(moe)!;
    const own: Turn = { x, residual, choice };
    turn.arrive(own);
    try {
      const { slots, submitted, release } = await (early ??
        this.#bringer.makeResident({ moe, sums: false }, choice.ids, false));
      try {
        if (!submitted && slots) await this.#compute(moe, slots, own);
        return this.#addUp(moe, own);
      } finally {
        release();
      }
    } finally {
      this.#due.delete(moe);
    }
  }

  close(): void {
    for (const { early, turn } of this.#due.values()) {
      turn.cancel();
      early?.then(({ release }) => release()).catch(() => {});
    }
  }

  /** Adds up what each token's experts came to, in the order of its choice. */
  #addUp(moe: number, { residual, choice }: Turn): Float32Array {
    const { computer, spec } = this.#parts;
    const { hidden, topK } = spec.moe[moe]!;
    const y = residual.slice();
    const { weights } = choice;
    const { results } = computer;
    for (let pair = 0; pair < weights.length; pair++) {
      const first = Math.floor(pair / topK) * hidden;
      const from = pair * hidden;
      const weight = weights[pair]!;
      for (let i = 0; i < hidden; i++) {
        y[first + i] = y[first + i]! + Math.fround(weight * results[from + i]!);
      }
    }
    return y;
  }

  /** Computes the pairs that have a slot, each expert for all of its own. */
  async #compute(moe: number, slots: Uint32Array, { x }: Turn): Promise<void> {
    const { computer, forms, slots: columns, spec, count } = this.#parts;
    const { pool, topK } = spec.moe[moe]!;
    const pairs = pairsBySlot(slots, (slot) => columns.memoryOf(pool, slot));
    count("dispatches", pairs.size);
    await computer.compute(
      { form: forms[moe]!, topK, x: x.data as Float32Array, pairs },
      this.#options.breathe,
    );
  }
}

/** The pairs (token, k) of each slot, by the number of its memory. */
function pairsBySlot(
  slots: Uint32Array,
  memoryOf: (slot: number) => number,
): Map<number, readonly number[]> {
  const found = new Map<number, number[]>();
  for (const [pair, slot] of slots.entries()) {
    if (slot === ABSENT) continue;
    const memory = memoryOf(slot);
    const own = found.get(memory);
    if (own) own.push(pair);
    else found.set(memory, [pair]);
  }
  return found;
}

/** Something that comes later. */
interface Waiting<Thing> {
  readonly arrived: Promise<Thing>;
  arrive(thing: Thing): void;
  /** It will not come. */
  cancel(): void;
}

function waiting<Thing>(): Waiting<Thing> {
  let arrive: (thing: Thing) => void = () => {};
  let cancel = () => {};
  const arrived = new Promise<Thing>((resolve, reject) => {
    arrive = resolve;
    cancel = () => reject(new Error("unreachable: the pass is over"));
  });
  arrived.catch(() => {});
  return { arrived, arrive, cancel };
}
