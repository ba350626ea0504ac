import { byId, create } from "../dom.ts";
import { describeCell, type HeatFrame, listLayers, summarise } from "../heat.ts";
import { drawMap, readPalette } from "../map-drawing.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** A cell of the map. */
interface Cell {
  readonly layer: number;
  readonly expert: number;
}

const STEPS: Readonly<Record<string, Cell>> = {
  ArrowUp: { layer: -1, expert: 0 },
  ArrowDown: { layer: 1, expert: 0 },
  ArrowLeft: { layer: 0, expert: -1 },
  ArrowRight: { layer: 0, expert: 1 },
};

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
    const { frame } = store.state;
    map.classList.toggle("empty", frame === undefined);
    if (!frame) return;
    drawMap(canvas, frame, palette, cell);
    readout.textContent = cell ? describeCell(frame, cell.layer, cell.expert) : hint;
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
  mountAlternatives(store);
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
  store.watch(
    ({ phase, filling, frame }) => (phase === "ready" && !filling ? frame : undefined),
    (frame) => {
      if (!frame) return;
      const text = summarise(frame);
      if (summary.textContent !== text) summary.textContent = text;
      table.replaceChildren(
        ...listLayers(frame).map(({ layer, resident, used, busiest }) =>
          create(
            "tr",
            {},
            create("th", { scope: "row" }, String(layer)),
            create("td", {}, String(resident)),
            create("td", {}, String(used)),
            create("td", {}, busiest ? `${busiest.expert} (${busiest.uses} times)` : "–"),
          ),
        ),
      );
    },
  );
}
