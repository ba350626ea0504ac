/** What the page table holds for an expert that is not on the GPU. */
export const ABSENT = 0xffffffff;

/** Dirty words closer than this go up in one write: four bytes too many cost less than one more call. */
const MERGE_GAP_WORDS = 32;

/** Words of the page table to write to the GPU, from `wordOffset` on. `words` is a view, valid until the next change. */
export interface PageTableRange {
  readonly wordOffset: number;
  readonly words: Uint32Array;
}

/**
 * The host's copy of the GPU's page table `[pools, experts]` u32: the slot of every expert, or {@link ABSENT}.
 * It remembers what changed since it was last uploaded; at first everything has.
 */
export class PageTable {
  readonly pools: number;
  readonly experts: number;
  readonly #words: Uint32Array;
  readonly #dirty = new Set<number>();

  constructor(pools: number, experts: number) {
    this.pools = pools;
    this.experts = experts;
    this.#words = new Uint32Array(pools * experts).fill(ABSENT);
    for (let word = 0; word < this.#words.length; word++) this.#dirty.add(word);
  }

  /** The slot of an expert, or {@link ABSENT}. */
  slot(pool: number, expert: number): number {
    return this.#words[pool * this.experts + expert]!;
  }

  /** Maps an expert to a slot, or to {@link ABSENT}. */
  set(pool: number, expert: number, slot: number): void {
    const word = pool * this.experts + expert;
    if (this.#words[word] === slot) return;
    this.#words[word] = slot;
    this.#dirty.add(word);
  }

  /** What must be written to the GPU's copy, in ascending order; after this nothing is dirty. */
  takeDirty(): PageTableRange[] {
    const spans: { start: number; end: number }[] = [];
    for (const word of [...this.#dirty].sort((a, b) => a - b)) {
      const last = spans.at(-1);
      if (last && word - last.end <= MERGE_GAP_WORDS) last.end = word + 1;
      else spans.push({ start: word, end: word + 1 });
    }
    this.#dirty.clear();
    return spans.map(({ start, end }) => ({
      wordOffset: start,
      words: this.#words.subarray(start, end),
    }));
  }
}
