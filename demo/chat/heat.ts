import type { ExpertMap } from "../../src/index.ts";
import { formatCount, plural } from "./format.ts";
import { type RuntimeName, WORDS } from "./words.ts";

/**
 * Where a cell's expert is. `arriving`: being loaded, or loaded since the map was drawn last; `prefetched`: on the GPU on
 * a guess, and not used yet; `ram`, `disk`, `source`: the fastest place of one that is not on the GPU.
 */
export type CellState = "source" | "disk" | "ram" | "arriving" | "prefetched" | "resident";

/** The places below the GPU, in the order of `ExpertMap.below`. */
const BELOW = ["source", "disk", "ram"] as const;

type Below = (typeof BELOW)[number];

/** One drawing of the map: states and warmth, `layers * experts` of each, layer by layer. */
export interface HeatFrame {
  readonly layers: number;
  /** The number that each layer has in the model. */
  readonly layerNumbers: readonly number[];
  readonly experts: number;
  readonly states: readonly CellState[];
  /** Whether each expert is on the GPU by now: 1 or 0. */
  readonly resident: Uint8Array;
  /** The fastest place below the GPU that has each expert, as in `ExpertMap`. */
  readonly below: Uint8Array;
  /** 0: never used, 1: the most used expert of the model. The square root of the share of its uses. */
  readonly warmth: Float32Array;
  readonly uses: Uint16Array;
}

/** How many experts are where: each is counted once, at the fastest place that has it. */
export interface Places extends Readonly<Record<Below, number>> {
  readonly gpu: number;
}

/** A place of the map: a row and a column. */
export interface Cell {
  readonly layer: number;
  readonly expert: number;
}

/** The numbers of one layer. */
export interface LayerRow extends Places {
  readonly layer: number;
  readonly used: number;
  /** The expert used most, and how often; undefined when none was. */
  readonly busiest: { readonly expert: number; readonly uses: number } | undefined;
}

const ABSENT = 0;
const RESIDENT = 2;

/** What to draw for `map`, after `previous` was drawn. */
export function planFrame(map: ExpertMap, previous?: ExpertMap): HeatFrame {
  const comparable = previous?.state.length === map.state.length ? previous : undefined;
  const most = map.uses.reduce((a, b) => Math.max(a, b), 0);
  const states = Array.from(map.state, (state, index): CellState => {
    if (state === ABSENT) return BELOW[map.below[index] ?? 0] ?? "source";
    const arrived = comparable !== undefined && comparable.state[index] !== RESIDENT;
    if (state !== RESIDENT || arrived) return "arriving";
    return map.prefetched[index] === 1 ? "prefetched" : "resident";
  });
  const warmth = Float32Array.from(map.uses, (uses) => (most === 0 ? 0 : Math.sqrt(uses / most)));
  const resident = map.state.map((state) => (state === RESIDENT ? 1 : 0));
  const { layers, layerNumbers, experts, below, uses } = map;
  return { layers, layerNumbers, experts, states, resident, below, warmth, uses };
}

/** The numbers of every layer, for a table. */
export function listLayers(frame: HeatFrame): readonly LayerRow[] {
  return Array.from({ length: frame.layers }, (_, layer) => {
    const start = layer * frame.experts;
    const uses = frame.uses.subarray(start, start + frame.experts);
    const most = uses.reduce((a, b) => Math.max(a, b), 0);
    return {
      layer: frame.layerNumbers[layer] ?? layer,
      ...countPlaces(frame, start, start + frame.experts),
      used: countNonZero(uses),
      busiest: most > 0 ? { expert: uses.indexOf(most), uses: most } : undefined,
    };
  });
}

/** The map in a sentence, for who cannot see it. */
export function summarise(frame: HeatFrame, runtime: RuntimeName): string {
  const words = WORDS[runtime];
  const total = frame.states.length;
  const { gpu, ram, disk, source } = countPlaces(frame, 0, total);
  const others = [
    [ram, words.ram],
    [disk, "on disk"],
    [source, "only at the source"],
  ] as const;
  const elsewhere = others
    .filter(([count]) => count > 0)
    .map(([count, place]) => `, ${formatCount(count)} ${place}`)
    .join("");
  const used = formatCount(countNonZero(frame.uses));
  return `${formatCount(gpu)} of ${plural(total, "expert")} ${words.first} in ${plural(frame.layers, "layer")}${elsewhere}; ${used} used so far.`;
}

function describeState(state: CellState, runtime: RuntimeName): string {
  const { ram, first, firstAhead } = WORDS[runtime];
  const texts: Readonly<Record<CellState, string>> = {
    source: "only at the source",
    disk: "on disk",
    ram,
    arriving: "arriving",
    prefetched: firstAhead,
    resident: first,
  };
  return texts[state];
}

/** One cell, in the map's row `layer`, in a sentence. Layers and experts are counted from 0, as in the file. */
export function describeCell(
  frame: HeatFrame,
  { layer, expert }: Cell,
  runtime: RuntimeName,
): string {
  const index = layer * frame.experts + expert;
  const state = frame.states[index];
  if (state === undefined) return "";
  const uses = frame.uses[index] ?? 0;
  const often =
    uses === 0 ? "never used" : uses === 1 ? "used once" : `used ${formatCount(uses)} times`;
  return `Layer ${frame.layerNumbers[layer] ?? layer}, expert ${expert}: ${describeState(state, runtime)}, ${often}.`;
}

function countPlaces({ resident, below }: HeatFrame, start: number, end: number): Places {
  const counts = { gpu: 0, ram: 0, disk: 0, source: 0 };
  for (let index = start; index < end; index++) {
    counts[resident[index] === 1 ? "gpu" : (BELOW[below[index] ?? 0] ?? "source")]++;
  }
  return counts;
}

function countNonZero(values: Uint8Array | Uint16Array): number {
  let count = 0;
  for (const value of values) if (value !== 0) count++;
  return count;
}
