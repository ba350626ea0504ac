import type { CellState } from "./heat.ts";

/** A corner of a shape: shares of the cell's width and height from its top left corner. */
export type Corner = readonly [x: number, y: number];

/** The outline of what is filled in a cell; the second one, if any, is left open inside the first. */
export type CellShape = readonly (readonly Corner[])[];

function box(left: number, top: number, right: number, bottom: number): readonly Corner[] {
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

/**
 * What is drawn for each state, so that the map can be read without its colours: the nearer to the GPU, the more of the
 * cell is filled. In RAM a block in the middle, on disk a bar at the foot, at the source a dot.
 */
export const CELL_SHAPES: Readonly<Record<CellState, CellShape>> = {
  resident: [box(0, 0, 1, 1)],
  prefetched: [box(0, 0, 1, 1), box(0.24, 0.24, 0.76, 0.76)],
  arriving: [
    [
      [0, 0],
      [1, 1],
      [0, 1],
    ],
  ],
  ram: [box(0.2, 0.2, 0.8, 0.8)],
  disk: [box(0.12, 0.6, 0.88, 0.86)],
  source: [box(0.38, 0.38, 0.62, 0.62)],
};

/** How much of the row's height is filled where cells are too narrow for shapes, from its foot up. */
export const CELL_HEIGHTS: Readonly<Record<CellState, number>> = {
  resident: 1,
  prefetched: 1,
  arriving: 1,
  ram: 0.6,
  disk: 0.3,
  source: 0,
};

/** A shape as an SVG path in a square of 100 by 100. */
export function pathOf(shape: CellShape): string {
  const outlines = shape.map((outline) => outline.map(([x, y]) => `${100 * x},${100 * y}`));
  return outlines.map((corners) => `M${corners.join("L")}Z`).join("");
}
