import { CELL_HEIGHTS, CELL_SHAPES, type CellShape } from "./cell-shapes.ts";
import { mixColors } from "./colors.ts";
import type { CellState, HeatFrame } from "./heat.ts";

/** Colours of the map, as `#rrggbb`. */
export interface Palette extends Readonly<Record<Exclude<CellState, "resident">, string>> {
  /** An expert on the GPU that was never used, and the one that is used most. */
  readonly cold: string;
  readonly hot: string;
  readonly ground: string;
  readonly cursor: string;
}

const MAX_ROW_PX = 24;
/** Rows are about as high as columns are wide, but no lower than this unless there are many. */
const MIN_ROOMY_ROW_PX = 14;
const MIN_ROW_PX = 4;
const MAP_HEIGHT_PX = 200;
/** Cells narrower than this touch each other. */
const ROOMY_CELL_PX = 4;
const SHADES = 24;

/** The palette that the style sheet gives to `element`; it differs between light and dark. */
export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    source: read("--map-source"),
    disk: read("--map-disk"),
    ram: read("--map-ram"),
    arriving: read("--map-arriving"),
    prefetched: read("--map-prefetched"),
    cold: read("--map-cold"),
    hot: read("--map-hot"),
    ground: read("--sunken"),
    cursor: read("--ink"),
  };
}

/** Where the cells are, in device pixels. */
interface Grid {
  readonly row: number;
  /** Space between cells; none where they are small. */
  readonly gap: number;
  /** Left edge of an expert's column. */
  edge(expert: number): number;
}

/**
 * Draws one row a layer and one column an expert over the width of the canvas's parent. Every state has a shape of its
 * own; where cells are too narrow for shapes they are filled to some height.
 */
export function drawMap(
  canvas: HTMLCanvasElement,
  frame: HeatFrame,
  palette: Palette,
  cursor: { readonly layer: number; readonly expert: number } | undefined,
): void {
  const widthPx = canvas.parentElement?.clientWidth ?? 0;
  const context = canvas.getContext("2d");
  if (!context || widthPx === 0) return;
  const grid = planGrid(frame, widthPx, devicePixelRatio);
  resize(canvas, grid.edge(frame.experts), grid.row * frame.layers);
  context.fillStyle = palette.ground;
  if (grid.gap > 0) context.clearRect(0, 0, canvas.width, canvas.height);
  else context.fillRect(0, 0, canvas.width, canvas.height);
  drawCells(context, frame, palette, grid);
  if (!cursor) return;
  const left = grid.edge(cursor.expert);
  const wide = grid.edge(cursor.expert + 1) - left - grid.gap;
  context.strokeStyle = palette.cursor;
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeRect(left, cursor.layer * grid.row, wide, grid.row - grid.gap);
}

function planGrid(frame: HeatFrame, widthPx: number, ratio: number): Grid {
  const columnPx = widthPx / frame.experts;
  const mostPx = Math.min(MAX_ROW_PX, Math.max(MIN_ROOMY_ROW_PX, columnPx));
  const rowPx = Math.min(mostPx, Math.max(MIN_ROW_PX, MAP_HEIGHT_PX / frame.layers));
  const width = Math.round(widthPx * ratio);
  const roomy = Math.min(rowPx, columnPx) >= ROOMY_CELL_PX;
  return {
    row: Math.round(rowPx * ratio),
    gap: roomy ? Math.max(1, Math.round(ratio)) : 0,
    edge: (expert) => Math.round((expert * width) / frame.experts),
  };
}

function drawCells(
  context: CanvasRenderingContext2D,
  frame: HeatFrame,
  palette: Palette,
  { row, gap, edge }: Grid,
): void {
  const shades = Array.from({ length: SHADES }, (_, index) =>
    mixColors(palette.cold, palette.hot, index / (SHADES - 1)),
  );
  const high = row - gap;
  frame.states.forEach((state, index) => {
    const expert = index % frame.experts;
    const top = Math.floor(index / frame.experts) * row;
    const left = edge(expert);
    const wide = edge(expert + 1) - left - gap;
    const shade = Math.round((frame.warmth[index] ?? 0) * (SHADES - 1));
    context.fillStyle = state === "resident" ? (shades[shade] ?? "") : palette[state];
    if (gap > 0) fillShape(context, CELL_SHAPES[state], { left, top, wide, high });
    else {
      const filled = Math.ceil(CELL_HEIGHTS[state] * high);
      context.fillRect(left, top + high - filled, wide, filled);
    }
  });
}

/** A cell's place in device pixels. */
interface Box {
  readonly left: number;
  readonly top: number;
  readonly wide: number;
  readonly high: number;
}

/** Fills a shape, with its edges on whole pixels. */
function fillShape(context: CanvasRenderingContext2D, shape: CellShape, cell: Box): void {
  context.beginPath();
  for (const outline of shape) {
    outline.forEach(([x, y], index) => {
      const left = cell.left + Math.round(x * cell.wide);
      const top = cell.top + Math.round(y * cell.high);
      if (index === 0) context.moveTo(left, top);
      else context.lineTo(left, top);
    });
    context.closePath();
  }
  context.fill("evenodd");
}

function resize(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
  canvas.style.aspectRatio = `${width} / ${height}`;
}
