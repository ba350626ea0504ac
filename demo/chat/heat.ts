import type { ExpertMap } from "../../src/index.ts";
import { formatCount, plural } from "./format.ts";

/** What a cell of the map shows. `arriving`: being loaded, or loaded since the map was drawn last. */
export type CellState = "absent" | "arriving" | "resident";

/** One drawing of the map: states and warmth, `layers * experts` of each, layer by layer. */
export interface HeatFrame {
  readonly layers: number;
  readonly experts: number;
  readonly states: readonly CellState[];
  /** Whether each expert is on the GPU by now: 1 or 0. */
  readonly resident: Uint8Array;
  /** 0: never used, 1: the most used expert of the model. The square root of the share of its uses. */
  readonly warmth: Float32Array;
  readonly uses: Uint16Array;
}

/** The numbers of one layer. */
export interface LayerRow {
  readonly layer: number;
  readonly resident: number;
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
    if (state === ABSENT) return "absent";
    const arrived = comparable !== undefined && comparable.state[index] !== RESIDENT;
    return state !== RESIDENT || arrived ? "arriving" : "resident";
  });
  const warmth = Float32Array.from(map.uses, (uses) => (most === 0 ? 0 : Math.sqrt(uses / most)));
  const resident = map.state.map((state) => (state === RESIDENT ? 1 : 0));
  const { layers, experts, uses } = map;
  return { layers, experts, states, resident, warmth, uses };
}

/** The numbers of every layer, for a table. */
export function listLayers(frame: HeatFrame): readonly LayerRow[] {
  return Array.from({ length: frame.layers }, (_, layer) => {
    const start = layer * frame.experts;
    const uses = frame.uses.subarray(start, start + frame.experts);
    const most = uses.reduce((a, b) => Math.max(a, b), 0);
    return {
      layer,
      resident: countNonZero(frame.resident.subarray(start, start + frame.experts)),
      used: countNonZero(uses),
      busiest: most > 0 ? { expert: uses.indexOf(most), uses: most } : undefined,
    };
  });
}

/** The map in a sentence, for who cannot see it. */
export function summarise(frame: HeatFrame): string {
  const total = frame.states.length;
  const resident = countNonZero(frame.resident);
  const used = countNonZero(frame.uses);
  return `${formatCount(resident)} of ${plural(total, "expert")} on the GPU in ${plural(frame.layers, "layer")}; ${formatCount(used)} used so far.`;
}

/** One cell in a sentence. Layers and experts are counted from 0, as in the file. */
export function describeCell(frame: HeatFrame, layer: number, expert: number): string {
  const index = layer * frame.experts + expert;
  const words = { absent: "not on the GPU", arriving: "arriving", resident: "on the GPU" } as const;
  const state = frame.states[index];
  if (state === undefined) return "";
  const uses = frame.uses[index] ?? 0;
  const often =
    uses === 0 ? "never used" : uses === 1 ? "used once" : `used ${formatCount(uses)} times`;
  return `Layer ${layer}, expert ${expert}: ${words[state]}, ${often}.`;
}

function countNonZero(values: Uint8Array | Uint16Array): number {
  let count = 0;
  for (const value of values) if (value !== 0) count++;
  return count;
}
