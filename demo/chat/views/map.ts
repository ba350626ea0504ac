import { CELL_SHAPES, pathOf } from "../cell-shapes.ts";
import { byId, create, drawing } from "../dom.ts";
import {
  type Cell,
  type CellState,
  describeCell,
  type HeatFrame,
  type LayerRow,
  listLayers,
  summarise,
} from "../heat.ts";
import { drawMap, readPalette } from "../map-drawing.ts";
import { describeFinds } from "../numbers.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

const STEPS: Readonly<Record<string, Cell>> = {
  ArrowUp: { layer: -1, expert: 0 },
  ArrowDown: { layer: 1, expert: 0 },
  ArrowLeft: { layer: 0, expert: -1 },
  ArrowRight: { layer: 0, expert: 1 },
};

/** What the legend says of each state but `resident`, whose colour has a meaning of its own. */
const LEGEND: readonly (readonly [Exclude<CellState, "resident">, string])[] = [
  ["prefetched", "brought ahead, not used yet"],
  ["arriving", "arriving"],
  ["ram", "in RAM"],
  ["disk", "on disk"],
  ["source", "only at the source"],
];

/** The map of layers and experts: a canvas, a sentence for the cell that is pointed at, and a table. */
export function mountMap(store: Store<AppState>): void {
  const map = byId("div", "map");
  const canvas = byId("canvas", "map-canvas");
  const readout = byId("p", "map-readout");
  const hint = readout.textContent;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let palette = readPalette(canvas);
  let cell: Cell | undefined;

  const draw = () => {
    const { frame, runtime } = store.state;
    map.classList.toggle("empty", frame === undefined);
    if (!frame) return;
    drawMap(canvas, frame, palette, cell);
    readout.textContent = cell ? describeCell(frame, cell, runtime) : hint;
  };
  const moveTo = (next: Cell | undefined) => {
    cell = next;
    draw();
  };

  map.tabIndex = 0;
  store.watch((state) => state.frame, draw);
  new ResizeObserver(draw).observe(map);
  dark.addEventListener("change", () => {
    palette = readPalette(canvas);
    draw();
  });
  map.addEventListener("pointermove", (event) => moveTo(cellAt(event, canvas, store.state.frame)));
  map.addEventListener("pointerleave", () => moveTo(undefined));
  map.addEventListener("blur", () => moveTo(undefined));
  map.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const { frame } = store.state;
    if (!step || !frame) return;
    event.preventDefault();
    moveTo(stepFrom(cell, step, frame));
    readout.setAttribute("role", "status");
  });
  mountLegend();
  mountFinds(store);
  mountAlternatives(store);
}

function mountLegend(): void {
  const items = LEGEND.map(([state, label]) =>
    create(
      "li",
      {},
      drawing(pathOf(CELL_SHAPES[state]), `swatch ${state}`),
      create("span", state === "ram" ? { "data-word": "ram" } : {}, label),
    ),
  );
  byId("ul", "map-legend").append(...items);
}

/** Hits and misses of the reply, under the map that shows where they came from. */
function mountFinds(store: Store<AppState>): void {
  const place = byId("p", "map-finds");
  store.watch(
    ({ stats, phase }) => describeFinds(stats, phase === "replying"),
    (text) => {
      place.textContent = text;
    },
  );
}

function cellAt(event: PointerEvent, canvas: HTMLCanvasElement, frame: HeatFrame | undefined) {
  if (!frame) return undefined;
  const box = canvas.getBoundingClientRect();
  const expert = Math.floor(((event.clientX - box.left) / box.width) * frame.experts);
  const layer = Math.floor(((event.clientY - box.top) / box.height) * frame.layers);
  const inside = expert >= 0 && expert < frame.experts && layer >= 0 && layer < frame.layers;
  return inside ? { layer, expert } : undefined;
}

function stepFrom(cell: Cell | undefined, step: Cell, frame: HeatFrame): Cell {
  if (!cell) return { layer: 0, expert: 0 };
  const clamp = (value: number, count: number) => Math.min(count - 1, Math.max(0, value));
  return {
    layer: clamp(cell.layer + step.layer, frame.layers),
    expert: clamp(cell.expert + step.expert, frame.experts),
  };
}

/** The sentence and the table for who cannot see the canvas. They follow when the engine rests, not with each frame. */
function mountAlternatives(store: Store<AppState>): void {
  const summary = byId("p", "map-summary");
  const table = byId("tbody", "map-table");
  let shown = "";
  store.watch(
    ({ phase, filling, frame }) => (phase === "ready" && !filling ? frame : undefined),
    (frame, { runtime }) => {
      if (!frame) return;
      const text = summarise(frame, runtime);
      if (summary.textContent !== text) summary.textContent = text;
      const rows = listLayers(frame);
      // A table that is being read must not be made anew for nothing.
      const next = JSON.stringify(rows);
      if (next === shown) return;
      shown = next;
      table.replaceChildren(...rows.map(tableRow));
    },
  );
}

function tableRow({ layer, gpu, ram, disk, source, used, busiest }: LayerRow): HTMLElement {
  const cells = [gpu, ram, disk, source, used].map((count) => create("td", {}, String(count)));
  return create(
    "tr",
    {},
    create("th", { scope: "row" }, String(layer)),
    ...cells,
    create("td", {}, busiest ? `${busiest.expert} (${busiest.uses}\u00d7)` : "–"),
  );
}
