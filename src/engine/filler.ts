import type { ExpertCache } from "../experts/expert-cache.ts";
import { nextFill, nextKept, wantsMost } from "../scheduler/fill.ts";
import type { ExpertStore } from "./expert-store.ts";

/** Bytes under way at once, and the loads that they may come to: enough for requests to be shared and latency hidden. */
const BYTES_UNDER_WAY = 4e6;
const LOADS_UNDER_WAY = { least: 4, most: 16 };

/**
 * Completes the tiers in the background, never evicting: first the empty slots on the GPU, then RAM and disk as far as
 * there is room. A load that fails ends the filling: if the source is gone for good, the layer that needs the expert
 * says so.
 */
export class Filler {
  readonly #cache: ExpertCache;
  readonly #store: ExpertStore;
  readonly #topK: number;
  #running:
    | { stopped: boolean; readonly gpu: Promise<void>; readonly done: Promise<void> }
    | undefined;
  readonly #lanes: number;
  /** Closed while the filling is paused. */
  #gate: Gate | undefined;
  /** Slots are filled also behind a closed gate, as what a prompt will want. */
  #hurries = false;
  #filled = 0;

  /**
   * @param recordBytes of the largest record
   * @param topK experts that a token chooses in a layer
   */
  constructor(cache: ExpertCache, store: ExpertStore, recordBytes: number, topK: number) {
    this.#cache = cache;
    this.#store = store;
    this.#topK = topK;
    const { least, most } = LOADS_UNDER_WAY;
    const fitting = Math.floor(BYTES_UNDER_WAY / Math.max(1, recordBytes));
    this.#lanes = Math.min(most, Math.max(least, fitting));
  }

  /** Experts that were brought to the GPU ahead of any need. */
  get filled(): number {
    return this.#filled;
  }

  start(): void {
    if (this.#running) return;
    const run = { stopped: false };
    const gpu = this.#inLanes(() => this.#fillSlots(run));
    const asked = new Set<string>();
    const done = gpu.then(() => this.#inLanes(() => this.#fillBelow(run, asked)));
    this.#running = Object.assign(run, { gpu, done });
  }

  /** Resolves when no slot on the GPU is left to fill. */
  async slotsFilled(): Promise<void> {
    await this.#running?.gpu;
  }

  /** Resolves when there is nothing left to fill. */
  async done(): Promise<void> {
    await this.#running?.done;
  }

  /**
   * A prompt of `tokens` tokens is computed: until `resume` nothing begins, since the connection is wanted for what is
   * waited for. Only where every expert has a slot and the prompt will want most of them, the slots go on being filled,
   * in order, so that later layers are loaded while earlier ones are computed.
   */
  makeWay(tokens: number): void {
    this.#gate ??= closedGate();
    const pools = Array.from({ length: this.#cache.pools }, (_, pool) => pool);
    const hasRoom = pools.every((pool) => this.#cache.slotCount(pool) === this.#cache.experts);
    this.#hurries = hasRoom && wantsMost(tokens, this.#cache.experts, this.#topK);
  }

  resume(): void {
    this.#hurries = false;
    this.#gate?.open();
    this.#gate = undefined;
  }

  /** Begins nothing more. What is under way goes on: the store's `stop` ends it. */
  stop(): void {
    if (this.#running) this.#running.stopped = true;
    this.#running = undefined;
  }

  async #fillSlots(run: { readonly stopped: boolean }): Promise<void> {
    try {
      for (;;) {
        if (!this.#hurries) await this.#gate?.opened;
        const next = run.stopped ? undefined : nextFill(this.#cache);
        const load = next && this.#cache.beginLoad(next.pool, next.expert);
        if (!next || !load) return;
        await this.#store.load(next.pool, load, this.#hurries ? "prefetch" : "fill");
        this.#filled++;
      }
    } catch {
      // The cache has taken the load back; see the class comment.
    }
  }

  /** @param asked what was fetched already: a tier may refuse it all the same */
  async #fillBelow(run: { readonly stopped: boolean }, asked: Set<string>): Promise<void> {
    const { records } = this.#store;
    const isWanted = (pool: number, expert: number) =>
      !asked.has(`${pool}/${expert}`) && records.isWanted(pool, expert);
    try {
      for (;;) {
        await this.#gate?.opened;
        const next = run.stopped ? undefined : nextKept(this.#cache, isWanted);
        if (!next) return;
        asked.add(`${next.pool}/${next.expert}`);
        await records.get(next.pool, next.expert, "fill");
      }
    } catch {
      // See the class comment.
    }
  }

  async #inLanes(work: () => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: this.#lanes }, work));
  }
}

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function closedGate(): Gate {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
